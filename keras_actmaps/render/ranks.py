"""A figure of an explanation whatever the rank of its maps: tables, series, images and volumes."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.render.colors import map_colors, map_norm
from keras_actmaps.render.panels import CAPTION, PANEL, TITLE, add_colorbar, show_map, wrap_text

ROWS = 8  # examples in a figure at most
SLICES = 6  # of a volume


def explanation_figure(explanation: Explanation, inputs: Any = None, colormap: str = "turbo") -> Figure:
    """The raw maps, a row per example and a column per input or target, each with a color bar.

    Maps (N, F) are drawn as bars; with series (N, T, C) as inputs, as the mean of the channels, colored by relevance.
    Maps (N, H, W) are drawn as images, and of maps (N, D, H, W) up to six slices at even distances from first to last.

    Parameters
    ----------
    explanation : Explanation
        The first 8 examples are drawn.
    inputs : array, or dict of arrays by the names of inputs; optional
        The explained inputs; only series are drawn with their maps.
    colormap : str
        Of maps without negative values; others are red and blue around zero.

    Raises
    ------
    ValueError
        For maps of any other rank, series that do not fit the maps, and an unknown colormap.
    """
    columns = _columns(explanation, inputs)
    rows = min(len(explanation), ROWS)
    wide = any(maps.ndim != 3 for _, maps, _ in columns)
    width = (2 if wide else 1) * PANEL * len(columns) + 0.8
    figure = Figure(figsize=(width, PANEL * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, len(columns), squeeze=False)
    for (title, maps, series), panels in zip(columns, axes.T):
        for row, panel in enumerate(panels):
            norm = map_norm(maps[row], maps)
            _draw(panel, maps[row], None if series is None else series[row], f"{row}{title}", norm, colormap)
            add_colorbar(figure, panel, norm, maps[row], colormap, 0.046)
    more = f", first {rows} of {len(explanation)}" if rows < len(explanation) else ""
    figure.suptitle(wrap_text(f"{explanation.method}, raw maps{more}", 0.92 * width), **CAPTION)
    return figure


def _columns(explanation: Explanation, inputs: Any) -> list[tuple[str, Array, Array | None]]:
    """Title, maps (N, ...) and series (N, T, C) or None of each column."""
    several = isinstance(explanation.maps, dict)
    by_name = explanation.maps if several else {"": explanation.maps}
    many = np.ndim(explanation.scores) == 2
    columns = []
    for name, maps in by_name.items():
        values = inputs.get(name) if several and isinstance(inputs, dict) else None if several else inputs
        title = f", {name}" if name else ""
        for number in range(maps.shape[1] if many else 1):
            one = maps[:, number] if many else maps
            if one.ndim not in (2, 3, 4):
                raise ValueError(f"maps of shape {maps.shape} cannot be drawn; they need 1 to 3 axes per example")
            columns.append((f"{title}, target {number}" if many else title, one, _series(one, values)))
    return columns


def _series(maps: Array, values: Any) -> Array | None:
    """The inputs (N, T, C) of maps (N, T) as an array; None where the maps have another rank."""
    if values is None or maps.ndim != 2 or np.ndim(values) != 3:
        return None
    if np.shape(values)[:2] != maps.shape:
        raise ValueError(f"inputs of shape {np.shape(values)} do not fit maps of shape {maps.shape}")
    return np.asarray(values)


def _draw(panel: Axes, values: Array, series: Array | None, title: str, norm: Normalize, colormap: str) -> None:
    """One map by its rank."""
    if values.ndim > 1:
        show_map(panel, values if values.ndim == 2 else _slices(values), title, norm, colormap)
        panel.set_axis_off()
        return
    colors, positions = map_colors(norm, colormap), np.arange(len(values))
    panel.set_title(title, **TITLE)
    if series is None:
        panel.bar(positions, values, color=colors(norm(values)), edgecolor="gray", linewidth=0.4)
        panel.axhline(0, color="gray", linewidth=0.6)
        return
    curve = series.mean(-1, dtype="float64")
    bounds = np.r_[positions[0], (positions[1:] + positions[:-1]) / 2, positions[-1]]
    heights = np.interp(bounds, positions, curve)
    pieces = [
        [(bounds[t], heights[t]), (t, curve[t]), (bounds[t + 1], heights[t + 1])] for t in positions
    ]  # each step has the color of its own relevance
    panel.plot(positions, curve, color="lightgray", linewidth=4, zorder=1)
    panel.add_collection(LineCollection(pieces, array=values, cmap=colors, norm=norm, linewidth=2.5))


def _slices(volume: Array) -> Array:
    """Slices (D, H, W) at even distances, side by side: (H, k * W)."""
    chosen = np.unique(np.linspace(0, len(volume) - 1, min(SLICES, len(volume))).round().astype(int))
    return np.concatenate(list(volume[chosen]), axis=1)
