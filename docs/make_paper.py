"""Write the table of docs/paper.md from the numbers of the report: python -m docs.make_paper."""

import csv
import re
from pathlib import Path

from keras_actmaps.comparison.table import short

FOLDER = Path(__file__).parent
PAGE = FOLDER / "paper.md"
METHODS = (
    "cam", "gradcam", "gradcam_plus_plus", "eigencam", "saliency", "integrated_gradients", "lrp", "deeplift",
    "guided_backprop", "deconvnet", "occlusion", "rise", "kernel_shap",
)  # fmt: skip
BEGIN, END = "<!-- table -->\n", "\n<!-- end of table -->"


def rows_of(name: str) -> list[dict[str, str]]:
    """The rows of a file of the report."""
    with (FOLDER / "report" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def cell(row: dict[str, str], metric: str) -> str:
    """Mean and standard error, as the report shows them."""
    return f"{short(float(row[metric]))} ± {short(float(row[f'{metric} error']), 2)}"


def table() -> str:
    """Faithfulness, localization, sanity and cost of some methods on the grid and on photographs."""
    grid, pets = ({row["method"]: row for row in rows_of(name)} for name in ("grid", "pets"))
    lines = [
        "| method | grid: ROAD ↓ | pets: ROAD ↓ | grid: pointing game ↑ | grid: top layer random ↓ | passes |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in METHODS:
        similarity = next(float(row["spearman"]) for row in rows_of("grid_sanity") if row["method"] == name)
        columns = [cell(grid[name], "road"), cell(pets[name], "road"), cell(grid[name], "pointing_game")]
        lines.append(f"| {' | '.join([name, *columns, f'{similarity:.2f}', short(float(grid[name]['passes']))])} |")
    return "\n".join(lines)


def current() -> str:
    """The page with its table as it should be."""
    page, count = re.subn(f"{BEGIN}.*?{END}", lambda _: BEGIN + table() + END, PAGE.read_text("utf-8"), flags=re.S)
    if count != 1:
        raise ValueError(f"{PAGE} must contain one table, got {count}")
    return page


if __name__ == "__main__":
    PAGE.write_text(current(), encoding="utf-8")
