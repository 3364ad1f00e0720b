"""Elements of figures: grids of panels, images, color bars and wrapped captions."""

import os
from pathlib import Path
from textwrap import wrap
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.files import atomic_write
from keras_actmaps.core.types import Array
from keras_actmaps.render.colors import map_colors, map_norm

PANEL = 2.6  # inches
CHARACTERS = 12.5  # of a title, per inch
TITLE: dict[str, Any] = {"fontsize": 9}
CAPTION: dict[str, Any] = {"fontsize": 10}


def save(figure: Figure, path: str | os.PathLike) -> Path:
    """Write a figure as PNG atomically; OSError if that fails."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    return Path(path)


def panel_grid(
    rows: int, columns: int, caption: str, panel: tuple[float, float] = (PANEL, PANEL)
) -> tuple[Figure, Array]:
    """A figure and its panels (rows, columns) without axes; `panel` is the width and height of each in inches."""
    width = panel[0] * columns + 0.8
    figure = Figure(figsize=(width, panel[1] * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for one in axes.ravel():
        one.set_axis_off()
    if caption:
        figure.suptitle(wrap_text(caption, 0.92 * width), **CAPTION)
    return figure, axes


def wrap_text(text: str, inches: float) -> str:
    """The text in as many lines as the width requires."""
    width = int(inches * CHARACTERS)
    return "\n".join(part for line in text.splitlines() for part in wrap(line, width, break_on_hyphens=False))


def show_image(panel: Axes, image: Array, title: str) -> None:
    """Show an image in a panel, pixel by pixel."""
    panel.imshow(image, interpolation="nearest")
    panel.set_title(title, **TITLE)


def show_map(panel: Axes, values: Array, title: str, norm: Normalize, colormap: str) -> None:
    """Show a raw map in a panel."""
    panel.imshow(values, cmap=map_colors(norm, colormap), norm=norm)
    panel.set_title(title, **TITLE)


def show_own_map(panel: Axes, explanation: Explanation, number: int, title: str, colormap: str) -> Normalize:
    """Show the map of one image on its own scale, which is returned."""
    values = explanation.maps[number]
    norm = map_norm(values, explanation.maps)
    show_map(panel, values, title, norm, colormap)
    return norm


def add_colorbar(figure: Figure, panels: Any, norm: Normalize, values: Array, colormap: str, fraction: float) -> None:
    """Add a color bar of raw values."""
    mappable = ScalarMappable(norm, map_colors(norm, colormap))
    bar = figure.colorbar(mappable, ax=panels, fraction=fraction, pad=0.02, extend=bar_ends(norm, values))
    bar.ax.tick_params(labelsize=7)


def bar_ends(norm: Normalize, values: Array) -> Literal["neither", "min", "max", "both"]:
    """The ends of a scale that some values exceed, for Matplotlib's `extend` of a color bar."""
    below, above = bool(np.min(values) < norm.vmin), bool(np.max(values) > norm.vmax)
    if below:
        return "both" if above else "min"
    return "max" if above else "neither"


def hide_rest(panels: Array, used: int) -> None:
    """Hide the panels after the first `used` ones."""
    for panel in np.ravel(panels)[used:]:
        panel.set_visible(False)
