"""The picture of a cluster of an audit: exemplars with their hot spots, the mean map, and where its images lie."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from keras_actmaps.core.resize import resize
from keras_actmaps.core.types import Array
from keras_actmaps.render.images import pixels_of
from keras_actmaps.render.panels import PANEL, TITLE, panel_grid

COLUMNS = 4  # exemplars side by side
FRAME = "#ffd200"
OTHERS, OWN = "#c8c8c8", "#d62728"  # points of other clusters and of this one


def cluster_figure(
    images: ArrayLike,
    boxes: Sequence[tuple[float, float, float, float]],
    titles: Sequence[str],
    mean_map: Array,
    points: Array,
    inside: Array,
    caption: str = "",
) -> Figure:
    """Up to eight exemplars in two rows, beside the mean map over the mean exemplar and the points of the class.

    Parameters
    ----------
    images : array of shape (n, h, w, C)
        In any common range.
    boxes : sequence of (top, left, height, width)
        Hot spots, in pixels of `images`.
    titles : sequence of str
        One per image.
    mean_map : array of shape (r, c)
    points : array of shape (M, 2)
        Coordinates of all images of the class.
    inside : bool array of shape (M,)
        Which of them are in the cluster.
    caption : str
    """
    drawn = pixels_of(np.asarray(images))
    rows = 2 if len(drawn) > COLUMNS else 1
    figure, axes = panel_grid(rows, COLUMNS + 2 // rows, caption, (0.8 * PANEL, 0.85 * PANEL))
    exemplars = axes[:, :COLUMNS].ravel()
    for panel, image, (top, left, height, width), title in zip(exemplars, drawn, boxes, titles):
        panel.imshow(image)
        for color, thickness in (("black", 3), (FRAME, 1.5)):
            panel.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, ec=color, lw=thickness))
        panel.set_title(title, **TITLE)
    map_panel, point_panel = axes[:, COLUMNS:].ravel()
    height, width = drawn.shape[1:3]
    map_panel.imshow(np.mean(drawn, axis=0).astype("uint8"))
    map_panel.imshow(resize(mean_map, (height, width)), cmap="turbo", alpha=0.6, vmin=0)
    map_panel.set_title("mean map", **TITLE)
    _scatter(point_panel, points, inside)
    return figure


def _scatter(panel: Axes, points: Array, inside: Array) -> None:
    """The images of the class, those of the cluster on top."""
    panel.set_axis_on()
    panel.set_xticks([])
    panel.set_yticks([])
    for chosen, color in ((~inside, OTHERS), (inside, OWN)):
        panel.scatter(points[chosen, 0], points[chosen, 1], s=8, color=color, linewidths=0)
    panel.set_title(f"{inside.sum()} of {len(inside)} images", **TITLE)
