"""Measure the numbers of docs/report.md: python -m docs.make_report --runs runs/grid runs/cifar10 runs/pets.

For each run all methods by faithfulness, localization if the data set has ground truth, sanity and time: tables as CSV
in docs/report/ and in the page between its markers, and a plot. `--drawn RUN` draws the page's figure of maps.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from matplotlib.figure import Figure

import keras_actmaps as kam
from keras_actmaps.comparison.request import label_of
from keras_actmaps.comparison.table import Table
from keras_actmaps.core.files import save_rows
from keras_actmaps.core.types import Array
from keras_actmaps.data import truth_of
from keras_actmaps.metrics import parameter_randomisation
from keras_actmaps.training import runs

Sanity: TypeAlias = dict[
    str, tuple[tuple[str, ...], Array, Array]
]  # for each method the layers, SSIM and Spearman's correlation
ROOT = Path(__file__).parents[1]
PAGE, FOLDER = Path(__file__).with_name("report.md"), Path(__file__).with_name("report")
FAITHFULNESS = ["deletion", "insertion", "road", "average_drop", ("infidelity", {"samples": 32})]
OF_MASKS = ["pointing_game", "energy_pointing", "rank_accuracy", "pixel_average_precision"]
OF_BOXES = ["box_iou", "max_box_accuracy"]
PLACES = {"grid": OF_MASKS + OF_BOXES, "cifar10": [], "pets": OF_MASKS}  # the test images of pets have no head boxes
SLOW = ("rise", "lime", "kernel_shap")  # omitted where they would take most of the time
FEWER: dict[str, dict[str, Any]] = {  # fewer passes for the sanity check, which explains each image once per layer
    "rise": {"samples": 500},
    "lime": {"samples": 250},
    "kernel_shap": {"samples": 250},
    "extremal_perturbation": {"steps": 50},
}
SHOWN = "gradcam,cam,lrp,integrated_gradients,saliency,guided_backprop,occlusion,rise"


def measure(run: runs.Run, count: int, metrics: list, split: str = "test", left_out: Collection[str] = ()) -> Table:
    """All methods on the first images of a split."""
    names = [name for name in kam.METHODS if name not in left_out]

    def skip(name: str, error: ValueError) -> None:
        print(f"{run.path.name}: {name} does not fit: {error}")

    return kam.compare(run.model(), stream(run, split, count), names, metrics, keep=0, skip=skip).table


def stream(run: runs.Run, split: str, count: int) -> Iterator[tuple[Array, Array, dict[str, Array]]]:
    """Batches (images, labels, {"masks": ..., "boxes": ...}) of the first images of a split."""
    for images, labels, known in run.data().truth(split).as_numpy_iterator():
        truth = truth_of(known, images.shape[1:3])
        yield images[:count], labels[:count], {name: values[:count] for name, values in truth.items()}
        count -= len(images)
        if count <= 0:
            return


def randomize(run: runs.Run, count: int, methods: Sequence[str]) -> Sanity:
    """For each method the layers, from the top down, and the similarity of its maps to the trained model's."""
    images, *_ = next(stream(run, "test", count))
    found = {}
    for method in methods:
        result = parameter_randomisation(run.model(), images, method, **FEWER.get(method, {}))
        found[method] = result.layers, result.ssim, result.spearman
        keras.backend.clear_session()
    return found


def main() -> None:
    """Measure each run and write its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="*", default=[])
    parser.add_argument("--images", type=int, nargs="*", default=[200, 64, 32], help="images of each run")
    parser.add_argument(
        "--sanity-images", type=int, nargs="*", default=[16, 8, 8], help="images of each run, for the sanity check"
    )
    parser.add_argument("--drawn", help="a drawn-grid run, for the figure")
    arguments = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    for path, count, few in zip(arguments.runs, arguments.images, arguments.sanity_images):
        run = runs.open_run(path)
        name = run.record["dataset"]
        places = PLACES[name]
        table = measure(run, count, [*FAITHFULNESS, *places, "sparseness"])
        table.save_csv(FOLDER / f"{name}.csv")
        write(f"{name} faithfulness", columns(table, [*FAITHFULNESS, "sparseness"]).markdown())
        if places:
            write(f"{name} localisation", columns(table, places).markdown())
        if name == "pets":
            heads = measure(run, count, OF_BOXES, "validation", SLOW)
            heads.save_csv(FOLDER / "pets_heads.csv")
            write("pets heads", heads.markdown())
        found = randomize(run, few, table.methods)
        save_rows(FOLDER / f"{name}_sanity.csv", sanity_rows(found))
        write(f"{name} sanity", sanity_table(found))
        sanity_plot(found, name).savefig(FOLDER / f"{name}_sanity.png", dpi=110)
    if arguments.drawn:
        draw(arguments.drawn)


def columns(table: Table, metrics: list) -> Table:
    """The table of some of its metrics."""
    names = [metric if isinstance(metric, str) else label_of(*metric) for metric in metrics]
    places = [table.metrics.index(name) for name in names if name in table.metrics]
    better = tuple(table.better[place] for place in places)
    return replace(table, metrics=tuple(names), better=better, values=table.values[:, places])


def sanity_rows(found: Sanity) -> list[tuple[str, ...]]:
    """The rows of the CSV file: method, layer, means and standard errors."""
    rows: list[tuple[str, ...]] = [("method", "randomised down to", "ssim", "ssim error", "spearman", "spearman error")]
    for method, (layers, *measures) in found.items():
        for number, layer in enumerate(layers):
            pairs = [(part[number].mean(), error_of(part[number])) for part in measures]
            rows.append((method, layer, *(f"{value:.4f}" for pair in pairs for value in pair)))
    return rows


def sanity_table(found: Sanity) -> str:
    """SSIM and rank correlation when the top layer, half of the layers and all are random."""
    lines = ["| method | the top layer | half of the layers | all layers |", "| --- | ---: | ---: | ---: |"]
    for method, (layers, ssim, spearman) in found.items():
        places = 0, (len(layers) - 1) // 2, len(layers) - 1
        cells = [f"{ssim[place].mean():.2f} / {spearman[place].mean():.2f}" for place in places]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    count = next(iter(found.values()))[1].shape[1]
    return "\n".join(lines) + f"\n\n{count} images; SSIM / Spearman's rank correlation with the trained model's maps.\n"


def sanity_plot(found: Sanity, name: str) -> Figure:
    """Methods by layers, colored by rank correlation."""
    layers = next(iter(found.values()))[0]
    values = np.array([spearman.mean(1) for _, _, spearman in found.values()])
    figure = Figure(figsize=(1.6 + 0.62 * len(layers) + 1.6, 0.8 + 0.24 * len(found)), layout="constrained")
    panel = figure.subplots()
    image = panel.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        panel.text(
            column,
            row,
            f"{value:.2f}",
            ha="center",
            va="center",
            fontsize=6,
            color="white" if abs(value) > 0.6 else "black",
        )
    panel.set_xticks(range(len(layers)), layers, rotation=45, ha="right", fontsize=7)
    panel.set_yticks(range(len(found)), found, fontsize=7)
    panel.set_xlabel("random from the top down to this layer", fontsize=8)
    panel.set_title(f"{name}: rank correlation with the trained model's maps", fontsize=9)
    figure.colorbar(image, ax=panel, fraction=0.05)
    return figure


def draw(run: str) -> None:
    """The page's figure: methods on drawn grids."""
    folder = FOLDER / ".drawn"
    options = ["--method", SHOWN, "--run", run, "--compare", "--index", "0", "4", "7", "--output", str(folder)]
    subprocess.run([sys.executable, str(ROOT / "explain.py"), *options], check=True)
    (folder / "compare.png").replace(PAGE.parent / "pictures" / "compare.png")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def write(name: str, text: str) -> None:
    """Replace a part of the page between its markers; ValueError if the page does not have them."""
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.S)
    page = PAGE.read_text(encoding="utf-8")
    if not marks.search(page):
        raise ValueError(f"docs/report.md has no marks for {name!r}")
    PAGE.write_text(marks.sub(lambda found: f"{found[1]}{text}{found[2]}", page), encoding="utf-8")


def error_of(values: Array) -> float:
    """The standard error of the mean."""
    return values.std(ddof=1) / np.sqrt(len(values))


if __name__ == "__main__":
    main()
