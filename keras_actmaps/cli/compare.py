"""Methods side by side for explain.py: one figure, one table."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from keras_actmaps import render
from keras_actmaps.cli.inputs import Stream
from keras_actmaps.cli.request import Request
from keras_actmaps.comparison import compare
from keras_actmaps.comparison.table import Table
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.files import atomic_write
from keras_actmaps.methods import METHODS
from keras_actmaps.methods.registry import check_count, own_settings
from keras_actmaps.metrics import selection
from keras_actmaps.metrics.registry import find_metric

DRAWN, LIMIT = 4, 100  # images in the figure, and in the table, where none are find_metric


def check(metrics: str | None, limit: int | None, are_named: bool) -> None:
    """ValueError for metrics that there are not, and for a limit that means nothing; are_named: the images."""
    for name in [] if metrics in (None, "all") else metrics.split(","):
        find_metric(name)
    if limit is not None:
        check_count("limit", limit)
        if are_named:
            raise ValueError("give --limit, or --index or --image, not both")


def write(
    asked: Request, names: Sequence[str], settings: dict, metrics: str | None, limit: int | None, lenient: bool
) -> list[Path]:
    """The figure of the first images, the tables, and each method's maps of the images in the figure.

    The images are those that were find_metric; without any, the first `limit` of the split. lenient: a method that does not
    fit is said and left out.
    """
    shown, stream = asked, None
    if not (asked.image or asked.index):
        stream = Stream(asked.subject, asked.split, asked.data_dir, limit or LIMIT)
        shown = replace(asked, index=list(range(min(DRAWN, stream.count))))
    images = shown.images
    stream = stream or [(images.arrays, None, images.truth)]
    columns = selection.fitting(images.truth) if metrics == "all" else metrics and metrics.split(",")
    rows = [(name, own_settings(METHODS[name], settings)) for name in names]
    skip = (lambda name, error: asked.say(f"{name} does not fit: {error}")) if lenient else None
    explanations, table = compare.compare(
        asked.probe_at_layer, stream, rows, columns, targets=asked.target, keep=len(images.arrays), skip=skip
    )
    return _written(shown, explanations, table)


def _written(shown: Request, explanations: list[Explanation], table: Table) -> list[Path]:
    folder, masks = shown.folder, shown.images.truth.get("masks")
    titles = [f"{source}\n{title}" for source, title in zip(shown.images.sources, shown.titles)]
    caption = shown.caption("")
    figure = render.comparison_figure(explanations, shown.pixels, table, titles, caption, shown.colours, masks)
    written = [render.save(figure, folder / "compare.png"), table.save_csv(folder / "compare.csv")]
    texts = {"compare.md": table.markdown(), "compare.html": table.html("Methods side by side", "compare.png")}
    for name, text in texts.items():
        with atomic_write(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
        written.append(folder / name)
    return written + [explanation.save(folder / f"{explanation.method}.npz") for explanation in explanations]
