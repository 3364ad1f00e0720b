"""The table of models and methods in docs/models.md is what `kam.supported` says of the models in zoo.py."""

import runpy
from pathlib import Path

import pytest
from helpers import BACKEND

PAGES = Path(__file__).parents[2] / "docs"


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the page is of the models with Keras on TensorFlow")
def test_the_page_of_models_is_current():
    page = runpy.run_path(str(PAGES / "make_models.py"))
    assert page["current"]() == (PAGES / "models.md").read_text(encoding="utf-8"), "run: python -m docs.make_models"
