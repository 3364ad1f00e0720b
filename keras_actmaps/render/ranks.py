"""A figure of an explanation whatever the rank of its maps: tables, series, images and volumes."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.render.colors import ALPHA, CONTOURS, blend, map_norm, normalize, palette
from keras_actmaps.render.columns import Column, Names, columns
from keras_actmaps.render.curves import BARS, draw_bars, draw_curve
from keras_actmaps.render.montage import choose_slices, label_slices, montage
from keras_actmaps.render.panels import CAPTION, PANEL, TITLE, add_colorbar, show_image, show_map, wrap_text

ROWS = 8  # examples in a figure at most
CURVE, BAR = 0.9, 0.2  # inches
WIDTHS = {2: 2, 3: 1, 4: 1.5}  # of a panel relative to its height, by the axes of maps


def explanation_figure(
    explanation: Explanation,
    inputs: Any = None,
    colormap: str = "turbo",
    bands: str | Sequence[int] = "mean",
    alpha: float | str = 0.5,
    contours: float | None = None,
    names: Names = (),
    titles: Sequence[str] | None = None,
    caption: str = "",
) -> Figure:
    """The raw maps, a row per example and a column per input or target, each with a color bar.

    Maps (N, F) are drawn as bars; with series (N, T, C) as inputs, as a curve per channel in the color of its
    relevance, or as the mean of more than 12. Maps (N, H, W) are drawn as images, and of maps (N, D, H, W) the six
    slices with the largest sums of magnitudes; with images or volumes as inputs, between the input and the overlay.

    Parameters
    ----------
    explanation : Explanation
        The first 8 examples are drawn.
    inputs : array, or dict of arrays by the names of inputs; optional
        The explained inputs.
    colormap : str
        Of maps without negative values; others are red and blue around zero. Overlays always have these colors.
    bands
        What is drawn of images with more than three channels, as for `pixels`.
    alpha, contours
        As for `overlay`.
    names : sequence of str, or dict of them by the names of inputs; optional
        Of the features of tables, of which the 20 with the largest magnitudes are drawn, or of the channels of series.
    titles : sequence of str, optional
        One per example; its number by default.
    caption : str, optional
        Below which lines "raw maps"; the method and the target by default.

    Raises
    ------
    ValueError
        For maps of any other rank, inputs that do not fit the maps, and an unknown colormap.
    """
    palette(colormap)
    alpha, contours = ALPHA.validate(alpha), CONTOURS.validate(contours)
    found = columns(explanation, inputs, bands, ROWS, names)
    rows = min(len(explanation), ROWS)
    figure, panels = _panels(found, rows)
    for row, slots in enumerate(panels):
        rest = iter(slots)
        for column in found:
            title = f"{row if titles is None else titles[row]}{column.title}"
            title = wrap_text(column.titled(title), WIDTHS[column.maps.ndim] * PANEL)
            _draw_row(figure, rest, column, row, title, (alpha, colormap, contours))
    more = f", first {rows} of {len(explanation)}" if rows < len(explanation) else ""
    target = "" if explanation.target_name is None else f" of {explanation.target_name}"
    caption = caption or f"{explanation.method}, raw maps{target}"
    figure.suptitle(wrap_text(f"{caption}{more}", 0.92 * figure.get_figwidth()), **CAPTION)
    return figure


def draw_map(panels: Sequence[Axes], column: Column, row: int, title: str, norm: Normalize, colormap: str) -> None:
    """One map by its rank; curves in the place of bars where the series is known."""
    values, panel = column.maps[row], panels[0]
    if values.ndim == 3:
        chosen = choose_slices(values)
        show_map(panel, montage(values, chosen), title, norm, colormap)
        label_slices(panel, chosen, values.shape[1:])
    elif values.ndim == 2:
        show_map(panel, values, title, norm, colormap)
    elif column.inputs is None:
        few = f", {BARS} of {len(values)} features" if column.names and len(values) > BARS else ""
        panel.set_title(f"{title}{few}", **TITLE)
        draw_bars(panel, values, norm, colormap, column.names)
    else:
        panel.set_title(title, **TITLE)
        _draw_series(panels, values, column.inputs[row], column.names, norm, colormap)
    if values.ndim > 1:
        panel.set_axis_off()


def _panels(found: list[Column], rows: int) -> tuple[Figure, list[list[list[Axes]]]]:
    """A figure, and in each row the panels of each slot: one, or one per curve."""
    slots = [column for column in found for _ in range(3 if column.has_images else 1)]
    widths = [WIDTHS[column.maps.ndim] for column in slots]
    height = max(PANEL, *(max(CURVE * column.curves, BAR * min(len(column.names), BARS)) for column in found))
    figure = Figure(figsize=(sum(widths) * PANEL + 0.8, height * rows + 0.6), layout="constrained")
    grid = figure.add_gridspec(rows, len(slots), width_ratios=widths)
    panels: list[list[list[Axes]]] = []
    for row in range(rows):
        panels.append([])
        for number, column in enumerate(slots):
            part = grid[row, number].subgridspec(max(column.curves, 1), 1)
            panels[-1].append([figure.add_subplot(part[curve, 0]) for curve in range(max(column.curves, 1))])
    return figure, panels


def _draw_row(
    figure: Figure,
    slots: Iterator[list[Axes]],
    column: Column,
    row: int,
    title: str,
    style: tuple[float | str, str, float | None],
) -> None:
    """The map of one example; where images are known, between the image and the overlay."""
    values, colormap = column.maps[row], style[1]
    images = column.inputs[row] if column.inputs is not None and column.has_images else None
    if images is not None:
        _draw_image(next(slots)[0], images, values, title)
        title = "raw map"
    panels, norm = next(slots), map_norm(values, column.maps)
    draw_map(panels, column, row, title, norm, colormap)
    add_colorbar(figure, panels, norm, values, colormap, 0.046)
    if images is not None:
        share = normalize(values.reshape(1, -1)).reshape(values.shape)
        _draw_image(next(slots)[0], blend(images, share, *style), values, "overlay")


def _draw_image(panel: Axes, images: Array, values: Array, title: str) -> None:
    """An image (H, W, 3), or the slices of a volume (D, H, W, 3) that its map chooses."""
    chosen = choose_slices(values) if values.ndim == 3 else None
    show_image(panel, images if chosen is None else montage(images, chosen), title)
    if chosen is not None:
        label_slices(panel, chosen, values.shape[1:])
    panel.set_axis_off()


def _draw_series(
    panels: Sequence[Axes], values: Array, series: Array, names: Sequence[str], norm: Normalize, colormap: str
) -> None:
    """A curve per channel (T, C), one below the other."""
    for number, (panel, curve) in enumerate(zip(panels, np.moveaxis(series, -1, 0))):
        draw_curve(panel, values, curve, norm, colormap)
        panel.tick_params(labelsize=7, labelbottom=number == len(panels) - 1)
        if names or len(panels) > 1:
            panel.set_ylabel(names[number] if names else str(number), fontsize=7)
    panels[-1].set_xlabel("step", fontsize=7)
