"""docs/report.md says what its CSV files hold."""

import csv
from pathlib import Path

import pytest

from keras_actmaps.comparison.table import short

FOLDER = Path(__file__).parents[2] / "docs"
PAGE = (FOLDER / "report.md").read_text()


def part(name: str) -> str:
    return PAGE.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- end of {name} -->")[0]


def cells(name: str) -> dict[str, list[str]]:
    """The cells of each method's row in a part of the page."""
    rows = [line.strip("| ").split(" | ") for line in part(name).splitlines() if line.startswith("| ")]
    return {row[0]: [cell.strip("*") for cell in row[1:]] for row in rows}


@pytest.mark.parametrize("name", ["grid", "cifar10", "pets"])
def test_means_and_errors_are_those_of_the_file(name):
    with (FOLDER / "report" / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 20
    for kind in ("faithfulness", "localisation"):
        table = cells(f"{name} {kind}")
        for row in rows if table else []:
            for title, cell in zip(table["method"], table[row["method"]]):
                metric = title[:-2]  # an arrow
                if metric in row:
                    expected = [short(float(row[metric])), short(float(row[f"{metric} error"]), 2)]
                    assert cell == " ± ".join(expected), (row["method"], metric)


@pytest.mark.parametrize("name", ["grid", "cifar10", "pets"])
def test_sanity_is_that_of_the_file(name):
    with (FOLDER / "report" / f"{name}_sanity.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = cells(f"{name} sanity")
    for method in {row["method"] for row in rows}:
        of_method = [row for row in rows if row["method"] == method]
        for place, cell in zip((0, (len(of_method) - 1) // 2, -1), table[method]):
            found = [float(of_method[place][key]) for key in ("ssim", "spearman")]
            assert [float(text) for text in cell.split(" / ")] == pytest.approx(found, abs=0.0051)
