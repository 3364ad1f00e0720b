"""Methods side by side: a row an image, a column a method, and under each map what was measured of it."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.render.colors import colours_of, scale_of
from keras_actmaps.render.figures import LETTERS, PANEL, grid_of, show
from keras_actmaps.render.images import pixels

SMALL, LINE = 1.7, 0.13  # inches: a panel where there are many, a line under it
MANY = 8  # columns
FINE = 8  # of a pixel, so that an outline has its corners
OUTLINE = {"colors": "white", "linewidths": 2.0}, {"colors": "black", "linewidths": 0.8}
SCALE = "raw maps, each at its own scale: red for, blue against, or from 0 up"


def comparison_figure(
    explanations: Sequence[Explanation], images, table, titles: Sequence[str], caption="", colormap="turbo", masks=None
) -> Figure:
    """Each image beside its maps (N,H,W) by every method, all by one rule of scale, with its scores under each.

    table: the `Table` whose first images these are; of each row the best score is bold. titles: one an image.
    masks: bool (N,H,W), whose outlines are drawn into the maps.
    """
    drawn = pixels(images)
    columns = len(explanations) + 1
    side = SMALL if columns > MANY else PANEL
    height = side + 0.6 + LINE * len(table.metrics)
    caption = " · ".join(filter(None, [caption, SCALE, "" if masks is None else "outlined: where the thing is"]))
    figure, axes = grid_of(len(drawn), columns, caption, (side, height))
    below = LINE * len(table.metrics) / figure.get_figheight()  # the lines under the last row, which no layout sees
    figure.get_layout_engine().set(rect=(0, below, 1, 1 - below))
    for number, (panels, image) in enumerate(zip(axes, drawn)):
        show(panels[0], image, titles[number])
        winners = table.winners(table.values[..., number])
        for row, (panel, explanation) in enumerate(zip(panels[1:], explanations)):
            values = explanation.maps[number]
            scale = scale_of(values, explanation.maps)
            panel.imshow(values, cmap=colours_of(scale, colormap), norm=scale)
            panel.set_title(fill(table.methods[row], int(side * LETTERS)), fontsize=8)
            if masks is not None:
                _outline(panel, masks[number])
            _write(panel, table.metrics, table.values[row, :, number], winners[row], side)
    return figure


def _outline(panel, mask: np.ndarray) -> None:
    """The border of a mask (H,W), along the edges of its pixels, in colours seen on any map."""
    fine = np.kron(np.pad(mask, 1), np.ones((FINE, FINE)))
    height, width = mask.shape
    for line in OUTLINE:
        panel.contour(fine, levels=[0.5], extent=(-1.5, width + 0.5, -1.5, height + 0.5), **line)
    panel.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _write(panel, metrics: Sequence[str], values: np.ndarray, winners: np.ndarray, side: float) -> None:
    """A line a metric under a panel, the best bold."""
    for place, (metric, value, is_best) in enumerate(zip(metrics, values, winners)):
        words = f"{metric} {value:.3g}" if np.isfinite(value) else f"{metric} –"
        panel.text(0.5, -0.03 - LINE / side * place, words, transform=panel.transAxes, ha="center", va="top",
                   fontsize=7, fontweight="bold" if is_best else "normal")  # fmt: skip
