"""Figures of explanations: one method, one panel per class, or all methods side by side."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.render.colors import overlay
from keras_actmaps.render.images import bands_title, channel_count, pixels
from keras_actmaps.render.outlines import draw_boxes
from keras_actmaps.render.panels import add_colorbar, hide_rest, panel_grid, show_image, show_map, show_own_map


def picture(
    explanation: Explanation,
    images: ArrayLike,
    titles: Sequence[str],
    caption: str = "",
    alpha: float | str = 0.5,
    colormap: str = "turbo",
    boxes: Sequence | None = None,
    truth: Sequence | Array | None = None,
    bands: str | Sequence[int] = "mean",
    contours: float | None = None,
) -> Figure:
    """A row per image: the image, the raw map with a color bar, and the overlay.

    Parameters
    ----------
    explanation : Explanation
        Maps (N, H, W).
    images : array of shape (N, H, W, C)
    titles : sequence of str
        One per image.
    caption : str
    alpha, colormap, bands, contours
        As for `overlay`. The title of an image says what is drawn of more than three channels.
    boxes, truth
        Boxes to draw into the overlays, as for `draw_boxes`.

    Raises
    ------
    ValueError
        As `overlay` and `draw_boxes` do.
    """
    drawn, overlays = pixels(images, bands), overlay(explanation, images, alpha, colormap, contours, bands)
    note = bands_title(channel_count(images), bands)
    overlays = overlays if boxes is None else draw_boxes(overlays, boxes, truth)
    figure, axes = panel_grid(len(drawn), 3, caption)
    for row, (image, title) in enumerate(zip(drawn, titles)):
        show_image(axes[row, 0], image, f"{title}{note}")
        norm = show_own_map(axes[row, 1], explanation, row, f"{explanation.method}, raw map", colormap)
        add_colorbar(figure, axes[row, 1], norm, explanation.maps[row], colormap, 0.046)
        has_box = boxes is None or len(boxes[row]) > 0
        show_image(axes[row, 2], overlays[row], "overlay" if has_box else "overlay, no box found")
    return figure


def class_panels(
    explanation: Explanation,
    images: ArrayLike,
    titles: Sequence[str],
    names: Sequence[Sequence[str]],
    caption: str = "",
    colormap: str = "turbo",
) -> Figure:
    """The maps of K targets per image, one panel per target, on one scale per image, so that they can be compared.

    Parameters
    ----------
    explanation : Explanation
        Maps (N, K, H, W).
    images : array of shape (N, H, W, 1 or 3)
    titles : sequence of str
        One per image.
    names : (N, K) lists of str
        The titles of the panels.
    caption, colormap
        As for `picture`.
    """
    drawn, note = pixels(images), bands_title(channel_count(images))
    count = explanation.maps.shape[1] + 1
    columns = count if len(drawn) > 1 else min(count, 6)
    rows = -(-count // columns)
    figure, axes = panel_grid(len(drawn) * rows, columns, caption)
    for number, (image, maps) in enumerate(zip(drawn, explanation.maps)):
        panels = axes[number * rows : (number + 1) * rows].ravel()
        show_image(panels[0], image, f"{titles[number]}{note}")
        highest = float(maps.max()) if maps.max() > 0 else float(np.abs(maps).max()) or 1.0
        norm = Normalize(-highest if maps.min() < 0 else 0.0, highest)
        for panel, values, name in zip(panels[1:], maps, names[number]):
            show_map(panel, values, name, norm, colormap)
        hide_rest(panels, count)
        add_colorbar(figure, list(panels[:count]), norm, maps, colormap, 0.015)
    return figure


def contact_sheet(
    explanations: Sequence[Explanation],
    images: ArrayLike,
    titles: Sequence[str],
    caption: str = "",
    colormap: str = "turbo",
) -> Figure:
    """Each image beside its maps (N, H, W) by every method, each on its own scale, signed maps in red and blue."""
    drawn, note = pixels(images), bands_title(channel_count(images))
    columns = min(len(explanations) + 1, 7)
    rows = -(-(len(explanations) + 1) // columns)
    figure, axes = panel_grid(len(drawn) * rows, columns, caption)
    for number, image in enumerate(drawn):
        panels = axes[number * rows : (number + 1) * rows].ravel()
        show_image(panels[0], image, f"{titles[number]}{note}")
        for panel, explanation in zip(panels[1:], explanations):
            show_own_map(panel, explanation, number, explanation.method, colormap)
        hide_rest(panels, len(explanations) + 1)
    return figure


def originals(images: ArrayLike, titles: Sequence[str], caption: str = "") -> Figure:
    """The images alone, side by side."""
    drawn = pixels(images)
    columns = min(len(drawn), 6)
    figure, axes = panel_grid(-(-len(drawn) // columns), columns, caption)
    hide_rest(axes, len(drawn))
    for panel, image, title in zip(axes.ravel(), drawn, titles):
        show_image(panel, image, title)
    return figure
