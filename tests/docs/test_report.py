"""docs/report.md contains the numbers of its CSV files, all of them and no others."""

import csv
import re
from pathlib import Path

import pytest

from keras_actmaps.comparison.table import short

FOLDER = Path(__file__).parents[2] / "docs"
PAGE = (FOLDER / "report.md").read_text(encoding="utf-8")
FILES = {
    "grid": ["grid faithfulness", "grid localisation"],
    "cifar10": ["cifar10 faithfulness"],
    "pets": ["pets faithfulness", "pets localisation"],
    "pets_heads": ["pets heads"],
}  # the tables of the page that are made from each file
SANITY = ("grid", "cifar10", "pets")


def read(name: str) -> list[dict[str, str]]:
    with (FOLDER / "report" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table_of(name: str) -> dict[str, list[str]]:
    """The cells of each row of a table of the page, by its first cell; the header is "method"."""
    text = re.search(rf"<!-- {name} -->\n(.*?)<!-- end of {name} -->", PAGE, re.S)
    assert text, f"the page has no table {name!r}"
    rows = [line.strip("| ").split(" | ") for line in text[1].splitlines() if line.startswith("| ")]
    cells = {row[0]: [cell.strip("*") for cell in row[1:]] for row in rows}
    assert len(cells) == len(rows), f"a row of {name!r} occurs twice"
    return {first: row for first, row in cells.items() if first != "---"}


def test_every_file_and_every_table_is_known():
    files = {path.stem for path in (FOLDER / "report").glob("*.csv")}
    assert files == set(FILES) | {f"{name}_sanity" for name in SANITY}
    tables = set(re.findall(r"<!-- end of (.*?) -->", PAGE))
    assert tables == {table for names in FILES.values() for table in names} | {f"{name} sanity" for name in SANITY}


@pytest.mark.parametrize("name", FILES)
def test_means_and_errors_are_those_of_the_file(name):
    rows, shown = read(name), set()
    metrics = {column.removesuffix(" error") for column in rows[0] if column.endswith(" error")}
    assert len(rows) > 20 and metrics
    for title in FILES[name]:
        table = table_of(title)
        columns = [column.removesuffix(" ↑").removesuffix(" ↓") for column in table.pop("method")]
        assert columns[-2:] == ["time per image", "passes"] and set(columns[:-2]) <= metrics
        assert set(table) == {row["method"] for row in rows}
        shown |= set(columns[:-2])
        for row in rows:
            for metric, cell in zip(columns[:-2], table[row["method"]], strict=False):
                expected = f"{short(float(row[metric]))} ± {short(float(row[f'{metric} error']), 2)}"
                assert cell == expected, (row["method"], metric)
            assert table[row["method"]][-1] == short(float(row["passes"]))
    assert shown == metrics


@pytest.mark.parametrize("name", SANITY)
def test_sanity_is_that_of_the_file(name):
    rows, table = read(f"{name}_sanity"), table_of(f"{name} sanity")
    assert len(table.pop("method")) == 3
    assert set(table) == {row["method"] for row in rows}
    for method, cells in table.items():
        of_method = [row for row in rows if row["method"] == method]
        for place, cell in zip((0, (len(of_method) - 1) // 2, -1), cells, strict=True):
            found = [float(of_method[place][key]) for key in ("ssim", "spearman")]
            assert [float(text) for text in cell.split(" / ")] == pytest.approx(found, abs=0.0051)
