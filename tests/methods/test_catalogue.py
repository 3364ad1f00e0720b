"""Every method says what it shows, where it is from, what it costs and where it fails; the docs repeat it."""

import inspect
import runpy
from pathlib import Path

import pytest

from keras_actmaps.cli.explain import TABLE
from keras_actmaps.cli.figures import LOOKS
from keras_actmaps.methods import METHODS, catalogue

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", [*METHODS, *LOOKS])
def test_every_method_has_an_entry(name):
    entry = catalogue.entry(name, TABLE)
    text = " ".join(inspect.getdoc(TABLE[name]).split())
    assert f"{entry.sentence} ({entry.paper})" in text and f"Cost: {entry.cost}" in text
    for setting in entry.settings:
        assert f"{setting}=" in catalogue.listing(TABLE)


def test_the_page_of_methods_is_current():
    page = runpy.run_path(str(ROOT / "docs" / "make_methods.py"))
    assert page["current"]() == (ROOT / "docs" / "methods.md").read_text(), "run: python -m docs.make_methods"


def test_a_docstring_without_its_parts_is_an_error(monkeypatch):
    def bare(probe, images, targets):
        """Says nothing."""

    monkeypatch.setitem(METHODS, "bare", bare)
    with pytest.raises(ValueError, match="the docstring of 'bare' needs"):
        catalogue.entry("bare")
