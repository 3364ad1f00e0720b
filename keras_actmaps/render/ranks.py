"""A figure of an explanation whatever the rank of its maps: tables, series, images and volumes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.render.colors import blend, map_colors, map_norm, normalize, palette
from keras_actmaps.render.images import bands_note, pixels_of
from keras_actmaps.render.panels import CAPTION, PANEL, TITLE, add_colorbar, show_image, show_map, wrap_text

ROWS = 8  # examples in a figure at most
SLICES = 6  # of a volume


class Column(NamedTuple):
    """The maps of one input and target.

    Attributes
    ----------
    title : str
    maps : array of shape (N, *space)
    inputs : array, optional
        Series (N, T, C), or the pixels of images (N, H, W, 3) or of the slices of volumes, side by side.
    note : str
        What is drawn of images with more than three bands.
    """

    title: str
    maps: Array
    inputs: Array | None = None
    note: str = ""

    @property
    def has_images(self) -> bool:
        return self.inputs is not None and self.maps.ndim > 2


def explanation_figure(
    explanation: Explanation, inputs: Any = None, colormap: str = "turbo", bands: str | Sequence[int] = "mean"
) -> Figure:
    """The raw maps, a row per example and a column per input or target, each with a color bar.

    Maps (N, F) are drawn as bars; with series (N, T, C) as inputs, as the mean of the channels, colored by relevance.
    Maps (N, H, W) are drawn as images, and of maps (N, D, H, W) up to six slices at even distances from first to last;
    with images or volumes as inputs, between the input and the overlay.

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

    Raises
    ------
    ValueError
        For maps of any other rank, inputs that do not fit the maps, and an unknown colormap.
    """
    palette(colormap)
    found = columns(explanation, inputs, bands, ROWS)
    rows, count = min(len(explanation), ROWS), sum(3 if column.has_images else 1 for column in found)
    width = sum((3 if column.has_images else 1) * (1 if column.maps.ndim == 3 else 2) for column in found) * PANEL + 0.8
    figure = Figure(figsize=(width, PANEL * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, count, squeeze=False)
    for row, panels in enumerate(axes):
        rest = iter(panels)
        for column in found:
            _draw_row(figure, rest, column, row, colormap)
    more = f", first {rows} of {len(explanation)}" if rows < len(explanation) else ""
    target = "" if explanation.target_name is None else f" of {explanation.target_name}"
    figure.suptitle(wrap_text(f"{explanation.method}, raw maps{target}{more}", 0.92 * width), **CAPTION)
    return figure


def columns(explanation: Explanation, inputs: Any, bands: str | Sequence[int], most: int) -> list[Column]:
    """The maps of each input and target, of the first `most` examples; ValueError for what cannot be drawn."""
    named = explanation.maps if isinstance(explanation.maps, dict) else {"": explanation.maps}
    values, many = _by_name(inputs, named), np.ndim(explanation.scores) == 2
    found = []
    for name, maps in named.items():
        title = f", {name}" if name else ""
        if maps.ndim - many not in (2, 3, 4):
            raise ValueError(f"maps of shape {maps.shape} cannot be drawn; they need 1 to 3 axes per example")
        space = maps.shape[1 + many :]
        drawn, note = _drawn_inputs(len(maps), space, values.get(name), bands, most)
        for number in range(maps.shape[1] if many else 1):
            one = maps[:most, number] if many else maps[:most]
            found.append(Column(f"{title}, target {number}" if many else title, one, drawn, note))
    return found


def draw_map(panel: Axes, column: Column, row: int, title: str, norm: Normalize, colormap: str) -> None:
    """One map by its rank; a series in the place of bars where it is known."""
    values = column.maps[row]
    if values.ndim > 1:
        show_map(panel, values if values.ndim == 2 else slices(values), title, norm, colormap)
        panel.set_axis_off()
        return
    panel.set_title(title, **TITLE)
    if column.inputs is None:
        colors = map_colors(norm, colormap)
        panel.bar(np.arange(len(values)), values, color=colors(norm(values)), edgecolor="gray", linewidth=0.4)
        panel.axhline(0, color="gray", linewidth=0.6)
    else:
        _draw_series(panel, values, column.inputs[row], norm, colormap)


def slices(volume: Array) -> Array:
    """Slices (D, H, W, ...) at even distances, side by side: (H, k * W, ...)."""
    chosen = np.unique(np.linspace(0, len(volume) - 1, min(SLICES, len(volume))).round().astype(int))
    return np.concatenate(list(volume[chosen]), axis=1)


def _draw_row(figure: Figure, panels: Any, column: Column, row: int, colormap: str) -> None:
    """The map of one example; where images are known, between the image and the overlay."""
    title, values = f"{row}{column.title}", column.maps[row]
    images = column.inputs if column.has_images else None
    if images is not None:
        panel = next(panels)
        show_image(panel, images[row], f"{title}{column.note}")
        panel.set_axis_off()
    panel, norm = next(panels), map_norm(values, column.maps)
    draw_map(panel, column, row, title if images is None else "raw map", norm, colormap)
    add_colorbar(figure, panel, norm, values, colormap, 0.046)
    if images is not None:
        share = normalize(values.reshape(1, -1)).reshape(values.shape)
        panel = next(panels)
        show_image(panel, blend(images[row], share if share.ndim == 2 else slices(share), 0.5, colormap), "overlay")
        panel.set_axis_off()


def _by_name(inputs: Any, named: dict[str, Array]) -> dict[str, Any]:
    """The inputs by the names of the maps; ValueError if it is not clear which belongs to which."""
    if inputs is None:
        return {}
    if "" in named:
        return {"": next(iter(inputs.values())) if isinstance(inputs, dict) and len(inputs) == 1 else inputs}
    if isinstance(inputs, (list, tuple)) and len(inputs) == len(named):
        inputs = dict(zip(named, inputs))
    if not isinstance(inputs, dict) or not (inputs.keys() <= named.keys() or named.keys() <= inputs.keys()):
        raise ValueError(f"inputs must be a dict of arrays by the names of inputs, {', '.join(named)}")
    return inputs


def _drawn_inputs(
    count: int, space: tuple[int, ...], values: Any, bands: str | Sequence[int], most: int
) -> tuple[Array | None, str]:
    """Series or pixels of the first `most` inputs, and a note on their bands; None where bars are drawn."""
    if values is None:
        return None, ""
    array = channels_last(values, (count, *space))[:most]
    if len(space) == 1:
        return (array if np.ndim(values) == 3 else None), ""
    tiled = array if len(space) == 2 else np.stack([slices(one) for one in array])
    return pixels_of(tiled, bands), bands_note(tiled.shape[-1], bands)


def channels_last(inputs: Any, shape: tuple[int, ...]) -> Array:
    """Inputs with channels last, first or without as (N, *space, C); ValueError if they do not fit maps of a shape."""
    array = np.asarray(inputs)
    if array.shape == shape:
        return array[..., None]
    if array.ndim == len(shape) + 1 and array.shape[:-1] == shape:
        return array
    if array.ndim == len(shape) + 1 and array.shape[:1] + array.shape[2:] == shape:
        return np.moveaxis(array, 1, -1)
    raise ValueError(f"inputs of shape {array.shape} do not fit maps of shape {shape}")


def _draw_series(panel: Axes, values: Array, series: Array, norm: Normalize, colormap: str) -> None:
    """The mean of the channels (T, C) as a curve, each step in the color of its own relevance."""
    positions, curve = np.arange(len(values)), series.mean(-1, dtype="float64")
    bounds = np.r_[positions[0], (positions[1:] + positions[:-1]) / 2, positions[-1]]
    heights = np.interp(bounds, positions, curve)
    pieces = [[(bounds[t], heights[t]), (t, curve[t]), (bounds[t + 1], heights[t + 1])] for t in positions]
    panel.plot(positions, curve, color="lightgray", linewidth=4, zorder=1)
    colors = map_colors(norm, colormap)
    panel.add_collection(LineCollection(pieces, array=values, cmap=colors, norm=norm, linewidth=2.5))
