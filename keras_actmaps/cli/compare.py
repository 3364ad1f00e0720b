"""The mode --compare of the command explain: one figure and one table of several methods."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_actmaps import render
from keras_actmaps.cli.choices import Choice, Mode
from keras_actmaps.cli.inputs import Stream
from keras_actmaps.cli.options import ExplainOptions
from keras_actmaps.cli.pictures import reject_drawing
from keras_actmaps.cli.request import Request
from keras_actmaps.comparison.compare import compare
from keras_actmaps.comparison.table import Table
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.files import save_text
from keras_actmaps.methods import METHODS
from keras_actmaps.metrics import selection
from keras_actmaps.metrics.registry import find_metric

DRAWN, LIMIT = 4, 100  # images in the figure and in the table by default


def validate(options: ExplainOptions) -> None:
    """ValueError for unknown metrics, and for several targets per image."""
    for name in _metrics(options) or []:
        find_metric(name)
    if options.inputs is not None:
        raise ValueError("--compare draws images, and --inputs has arrays; kam.compare takes them")
    reject_drawing(options, "--compare")
    if options.target == "all":
        raise ValueError("--target all: methods are compared on one target per image; pass one class")


def write(request: Request, choices: list[Choice], options: ExplainOptions) -> list[Path]:
    """The figure of the first images, the tables, and the maps of the images in the figure by each method.

    The images are those of --image or --index, by default the first of the split. If all methods are requested, those
    that do not fit are skipped.
    """
    if request.subject.run is not None and request.subject.run.vocabulary() is not None:
        raise ValueError("--compare draws images, and this run has texts; --method A,B draws them side by side")
    shown = request
    stream: Iterable[Any]
    if request.image or request.index:
        stream = [(request.images.arrays, None, request.images.truth)]
    else:
        split = Stream(request.subject, request.split, request.data_dir, options.limit or LIMIT)
        stream, shown = split, replace(request, index=list(range(min(DRAWN, split.count))))

    def skip(name: str, error: ValueError) -> None:
        request.say(f"{name} does not fit: {error}")

    for choice in choices:
        if choice.error is not None:
            skip(choice.name, choice.error)
    explanations, table = compare(
        request.traced_at_layer,
        stream,
        [(choice.name, dict(choice.settings)) for choice in choices if choice.error is None],
        _all_metrics(shown) if options.metrics == "all" else _metrics(options),
        targets=request.target,
        keep=len(shown.images.arrays),
        skip=skip if options.is_everything else None,
    )
    return _write(shown, explanations, table)


def _all_metrics(request: Request) -> list[str]:
    """The names of the metrics that fit the model, the images and their truth."""
    images = request.images
    return selection.fitting_metrics(images.truth, request.traced_at_layer, images.arrays, request.target)


def _metrics(options: ExplainOptions) -> list[str] | None:
    """The names of the metrics; None for all that fit, and for the default ones."""
    return None if options.metrics in (None, "all") else str(options.metrics).split(",")


def _write(request: Request, explanations: list[Explanation], table: Table) -> list[Path]:
    """Write the figure, the tables and the maps; returns the paths."""
    folder, masks = request.folder, request.images.truth.get("masks")
    titles = [f"{source}\n{title}" for source, title in zip(request.images.sources, request.titles)]
    figure = render.comparison_figure(
        explanations, request.pixels, table, titles, request.caption(""), request.colors, masks
    )
    return [
        render.save(figure, folder / "compare.png"),
        table.save_csv(folder / "compare.csv"),
        save_text(folder / "compare.md", table.markdown()),
        save_text(folder / "compare.html", table.html("Methods side by side", "compare.png")),
        *(explanation.save(folder / f"{explanation.method}.npz") for explanation in explanations),
    ]


MODE = Mode(table=METHODS, validate=validate, write=write)
