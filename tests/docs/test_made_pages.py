"""The pages that scripts write are what the scripts would write now."""

import runpy
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("script, page", [("make_paper", "paper"), ("make_equations", "equations")])
def test_a_page_is_what_its_script_writes(script, page):
    made = runpy.run_path(str(PAGES / f"{script}.py"))["current"]()
    assert made == (PAGES / f"{page}.md").read_text("utf-8"), f"run: python -m docs.{script}"
