"""Every method has a summary, a paper, a cost, limitations and described settings; the documentation repeats them."""

import runpy
from pathlib import Path
from typing import Annotated

import pytest

from keras_actmaps.cli.default import TABLE
from keras_actmaps.core.settings import Count
from keras_actmaps.methods import METHODS, Method, catalogue

ROOT = Path(__file__).parents[2]


def example(traced, inputs, targets, *, steps: Annotated[Count, "number | of steps"] = 3, fill: float = 0.5):
    """A function with settings."""


EXAMPLE = Method(
    name="example", function=example, summary="What it shows", paper="Doe 2020", cost="one pass.", limitations="none."
)


@pytest.mark.parametrize("name", list(TABLE))
def test_every_record_is_complete(name):
    record = TABLE[name]
    assert record.name == name
    for part in ("summary", "paper", "cost", "limitations"):
        assert len(getattr(record, part)) > 5, part
    assert record.paper[-1] != "." and any(character.isdigit() for character in record.paper)
    assert record.summary[0].isupper() and record.summary[-1] != "."
    for key, setting in record.settings.items():
        assert setting.name == key and setting.meaning, f"{key} has no one-line meaning"


def test_a_listing_has_a_line_per_setting_with_its_default_meaning_and_values():
    assert catalogue.listing({"example": EXAMPLE}) == (
        "example\n"
        "    What it shows (Doe 2020).\n"
        "    settings:\n"
        "        steps=3: number | of steps (an integer >= 1 and <= 1,000,000)\n"
        "        fill=0.5: fill (a finite number)"
    )
    assert catalogue.listing({"gradcam": METHODS["gradcam"]}).endswith("settings: none")


def test_a_table_has_a_row_per_method():
    header, rule, row = catalogue.table({"example": EXAMPLE}).splitlines()
    assert header == "| method | what it shows | settings | cost | limitations | paper |"
    assert rule == "| --- | --- | --- | --- | --- | --- |"
    assert row == "| `example` | What it shows | `steps=3, fill=0.5` | one pass. | none. | Doe 2020 |"


def test_a_table_of_settings_has_a_row_per_setting_with_the_methods_that_share_it():
    rows = catalogue.settings_table({"example": EXAMPLE, "again": EXAMPLE}).splitlines()
    assert rows[2] == "| `fill` | `0.5` | a finite number |  | `example`, `again` |"
    assert rows[3] == (
        "| `steps` | `3` | an integer >= 1 and <= 1,000,000 | number \\| of steps | `example`, `again` |"
    )
    assert len(rows) == 4


def test_the_page_of_methods_is_current():
    page = runpy.run_path(str(ROOT / "docs" / "make_methods.py"))
    assert page["current"]() == (ROOT / "docs" / "methods.md").read_text(), "run: python -m docs.make_methods"
