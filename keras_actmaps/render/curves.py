"""Maps of tables and time series: bars, and curves in the color of their relevance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize

from keras_actmaps.core.types import Array
from keras_actmaps.render.colors import map_colors

CURVES = 12  # channels of a series in panels of their own; of more, the mean is drawn
BARS = 20  # features with names
OUTLINED = 40  # bars; lines around more would hide their colors


def draw_bars(panel: Axes, values: Array, norm: Normalize, colormap: str, names: Sequence[str] = ()) -> None:
    """A bar per feature; with names, the largest magnitudes from top to bottom."""
    colors = map_colors(norm, colormap)
    style: dict[str, Any] = {"edgecolor": "gray", "linewidth": 0.4 if len(values) <= OUTLINED else 0}
    panel.tick_params(labelsize=7)
    if not names:
        panel.bar(np.arange(len(values)), values, color=colors(norm(values)), **style)
        panel.axhline(0, color="gray", linewidth=0.6)
        return
    order = np.argsort(-np.abs(values), kind="stable")[:BARS]
    panel.barh(np.arange(len(order)), values[order], color=colors(norm(values[order])), **style)
    panel.set_yticks(np.arange(len(order)), [names[number] for number in order], fontsize=7)
    panel.invert_yaxis()
    panel.axvline(0, color="gray", linewidth=0.6)


def draw_curve(panel: Axes, values: Array, curve: Array, norm: Normalize, colormap: str) -> None:
    """A curve (T,), each step in the color of its own relevance (T,)."""
    positions, curve = np.arange(len(values)), curve.astype("float64")
    bounds = np.r_[positions[0], (positions[1:] + positions[:-1]) / 2, positions[-1]]
    heights = np.interp(bounds, positions, curve)
    pieces = [[(bounds[t], heights[t]), (t, curve[t]), (bounds[t + 1], heights[t + 1])] for t in positions]
    panel.plot(positions, curve, color="lightgray", linewidth=4, zorder=1)
    colors = map_colors(norm, colormap)
    panel.add_collection(LineCollection(pieces, array=values, cmap=colors, norm=norm, linewidth=2.5))
