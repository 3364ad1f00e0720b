"""The figure of a comparison: a row per image, a column per method, and the metrics under each map."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.render.images import pixels
from keras_actmaps.render.panels import CHARACTERS, PANEL, panel_grid, show_image, show_own_map, wrap_text

SMALL, LINE = 1.7, 0.13  # inches: the side of a panel if there are many columns, and the height of a line of text
MANY = 8  # columns
TEXT = 0.17  # inches: a line of a title or caption
POINTS = 72  # per inch
SUBPIXELS = 8  # per side of a pixel, so that the corners of an outline are sharp
OUTLINE: tuple[dict[str, Any], ...] = (
    {"colors": "white", "linewidths": 2.0},
    {"colors": "black", "linewidths": 0.8},
)
SCALE = "raw maps, each on its own scale; signed maps: red positive, blue negative"


def comparison_figure(
    explanations: Sequence[Explanation],
    images: ArrayLike,
    table: Any,
    titles: Sequence[str],
    caption: str = "",
    colormap: str = "turbo",
    masks: Array | None = None,
) -> Figure:
    """Each image beside its maps by every method, each on its own scale, with the metrics under each map.

    Parameters
    ----------
    explanations : sequence of Explanation
        Maps (N, H, W), one explanation per method.
    images : array of shape (N, H, W, 1 or 3)
    table : Table
        The scores, whose first images these are; the best of each row is bold.
    titles : sequence of str
        One per image.
    caption, colormap
        As for `picture`.
    masks : bool array of shape (N, H, W), optional
        Objects, whose outlines are drawn into the maps.
    """
    drawn = pixels(images)
    columns = len(explanations) + 1
    side = SMALL if columns > MANY else PANEL
    height = side + 0.6 + LINE * len(table.metrics)
    caption = " · ".join(filter(None, [caption, SCALE, "" if masks is None else "outline: the object's mask"]))
    titles = [wrap_text(title, side) for title in titles]
    figure, axes = panel_grid(len(drawn), columns, caption, (side, height))
    _make_room(figure, caption, titles)
    _leave_space_below(figure, LINE * len(table.metrics))
    for number, (panels, image) in enumerate(zip(axes, drawn)):
        show_image(panels[0], image, titles[number])
        winners = table.winners(table.values[..., number])
        for row, (panel, explanation) in enumerate(zip(panels[1:], explanations)):
            show_own_map(panel, explanation, number, "", colormap)
            panel.set_title(fill(table.methods[row], int(side * CHARACTERS)), fontsize=8)
            if masks is not None:
                _draw_outline(panel, masks[number])
            _write_scores(panel, table.metrics, table.values[row, :, number], winners[row])
    return figure


def _make_room(figure: Figure, caption: str, titles: Sequence[str]) -> None:
    """Add the height of the lines of the caption and of the titles, which would else be taken from the panels."""
    lines = wrap_text(caption, 0.92 * figure.get_figwidth()).count("\n")
    lines += sum(title.count("\n") for title in titles)
    figure.set_figheight(figure.get_figheight() + TEXT * lines)


def _leave_space_below(figure: Figure, inches: float) -> None:
    """Leave space for the lines under the last row, which Matplotlib's layout ignores."""
    fraction = inches / figure.get_figheight()
    engine: Any = figure.get_layout_engine()
    engine.set(rect=(0, fraction, 1, 1 - fraction))


def _draw_outline(panel: Axes, mask: Array) -> None:
    """The border of a mask (H, W) along the edges of its pixels, in colors that are visible on any map."""
    fine = np.kron(np.pad(mask, 1), np.ones((SUBPIXELS, SUBPIXELS)))
    height, width = mask.shape
    for line in OUTLINE:
        panel.contour(fine, levels=[0.5], extent=(-1.5, width + 0.5, -1.5, height + 0.5), **line)
    panel.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _write_scores(panel: Axes, metrics: Sequence[str], values: Array, winners: Array) -> None:
    """A line per metric under a panel, the best in bold."""
    for line, (metric, value, is_best) in enumerate(zip(metrics, values, winners)):
        text = f"{metric} {value:.3g}" if np.isfinite(value) else f"{metric} –"
        weight: Any = "bold" if is_best else "normal"
        below = (0, -3 - LINE * POINTS * line)  # in points, since panels of wide images are low
        style: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
        panel.annotate(text, (0.5, 0), below, ha="center", va="top", fontsize=7, fontweight=weight, **style)
