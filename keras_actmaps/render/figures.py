"""Figures of explanations: one map, one panel a class, all methods on a sheet; and what other figures are made of."""

import os
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.files import atomic_write
from keras_actmaps.render.boxes import framed
from keras_actmaps.render.colors import colours_of, overlay, scale_of
from keras_actmaps.render.images import pixels

PANEL = 2.6  # inches
LETTERS = 12.5  # of a title, to an inch
FONT = {"fontsize": 9}


def picture(
    explanation: Explanation,
    images,
    titles: Sequence[str],
    caption="",
    alpha=0.5,
    colormap="turbo",
    boxes=None,
    truth=None,
) -> Figure:
    """A row an image: the image with its title, the map with a colour bar in raw numbers, the overlay.

    boxes: those of each image, as of `kam.boxes`, drawn into the overlay. truth: the true ones; see `framed`.
    """
    drawn, over = pixels(images), overlay(explanation, images, alpha, colormap)
    over = over if boxes is None else framed(over, boxes, truth)
    figure, axes = grid_of(len(drawn), 3, caption)
    for row, (image, title) in enumerate(zip(drawn, titles)):
        show(axes[row, 0], image, title)
        show_map(figure, axes[row, 1], explanation, row, f"{explanation.method}, raw", colormap)
        show(axes[row, 2], over[row], "over the image" if boxes is None or boxes[row] else "over the image, no box")
    return figure


def class_panels(
    explanation: Explanation, images, titles: Sequence[str], names, caption="", colormap="turbo"
) -> Figure:
    """The maps of K targets an image, one panel a target, at one scale for each image, so that they can be compared.

    titles: one an image. names: (N, K) lists of panel titles.
    """
    drawn = pixels(images)
    count = explanation.maps.shape[1] + 1
    columns = count if len(drawn) > 1 else min(count, 6)
    rows = -(-count // columns)
    figure, axes = grid_of(len(drawn) * rows, columns, caption)
    for number, (image, maps) in enumerate(zip(drawn, explanation.maps)):
        panels = axes[number * rows : (number + 1) * rows].ravel()
        show(panels[0], image, titles[number])
        highest = float(maps.max()) if maps.max() > 0 else float(np.abs(maps).max()) or 1.0
        scale = Normalize(-highest if maps.min() < 0 else 0.0, highest)
        for panel, one, name in zip(panels[1:], maps, names[number]):
            panel.imshow(one, cmap=colours_of(scale, colormap), norm=scale)
            panel.set_title(name, **FONT)
        for panel in panels[count:]:
            panel.set_visible(False)
        bar(figure, list(panels[:count]), scale, maps, colormap, 0.015)
    return figure


def contact_sheet(
    explanations: Sequence[Explanation], images, titles: Sequence[str], caption: str = "", colormap: str = "turbo"
) -> Figure:
    """Each image beside its maps by every method, (N,H,W) each, at its own scale, signed maps in two colours."""
    drawn = pixels(images)
    columns = min(len(explanations) + 1, 7)
    rows = -(-(len(explanations) + 1) // columns)
    figure, axes = grid_of(len(drawn) * rows, columns, caption)
    for number, image in enumerate(drawn):
        panels = axes[number * rows : (number + 1) * rows].ravel()
        show(panels[0], image, titles[number])
        for panel, explanation in zip(panels[1:], explanations):
            scale = scale_of(explanation.maps[number], explanation.maps)
            panel.imshow(explanation.maps[number], cmap=colours_of(scale, colormap), norm=scale)
            panel.set_title(explanation.method, **FONT)
        for panel in panels[len(explanations) + 1 :]:
            panel.set_visible(False)
    return figure


def originals(images, titles: Sequence[str], caption: str = "") -> Figure:
    """The images alone, side by side."""
    drawn = pixels(images)
    columns = min(len(drawn), 6)
    figure, axes = grid_of(-(-len(drawn) // columns), columns, caption)
    for panel in axes.ravel()[len(drawn) :]:
        panel.set_visible(False)
    for panel, image, title in zip(axes.ravel(), drawn, titles):
        show(panel, image, title)
    return figure


def save(figure: Figure, path: str | os.PathLike) -> Path:
    """Write a PNG, atomic_write or not at all; OSError where that cannot be done."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    return Path(path)


def grid_of(rows: int, columns: int, caption: str, panel: tuple[float, float] = (PANEL, PANEL)):
    """A figure and its (rows, columns) panels, (width, height) in inches each, without axes."""
    width = panel[0] * columns + 0.8
    figure = Figure(figsize=(width, panel[1] * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.ravel():
        panel.set_axis_off()
    if caption:
        figure.suptitle(in_lines(caption, 0.92 * width), fontsize=10)
    return figure, axes


def in_lines(words: str, inches: float) -> str:
    """Words in as many lines as a width needs."""
    return "\n".join(part for line in words.splitlines() for part in wrap(line, int(inches * LETTERS)))


def show(panel, image: np.ndarray, title: str) -> None:
    """An image in a panel, pixel by pixel."""
    panel.imshow(image, interpolation="nearest")
    panel.set_title(title, **FONT)


def show_map(figure: Figure, panel, explanation: Explanation, number: int, title: str, colormap: str) -> None:
    """The map of one image in a panel, with a colour bar in its own numbers."""
    values = explanation.maps[number]
    scale = scale_of(values, explanation.maps)
    panel.imshow(values, cmap=colours_of(scale, colormap), norm=scale)
    panel.set_title(title, **FONT)
    bar(figure, panel, scale, values, colormap, 0.046)


def bar(figure: Figure, panels, scale: Normalize, values: np.ndarray, colormap: str, share: float) -> None:
    """A colour bar in raw numbers, pointed where values go beyond it."""
    mappable = ScalarMappable(scale, colours_of(scale, colormap))
    bar = figure.colorbar(mappable, ax=panels, fraction=share, pad=0.02, extend=pointed(scale, values))
    bar.ax.tick_params(labelsize=7)


def pointed(scale: Normalize, values: np.ndarray) -> str:
    """The ends of a scale beyond which values go, as Matplotlib calls them."""
    beyond = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    return beyond[bool(values.min() < scale.vmin), bool(values.max() > scale.vmax)]
