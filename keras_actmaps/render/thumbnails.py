"""Small pictures of inputs of every rank and of their maps, for cards and strips over time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.render.colors import blend, map_colors, map_norm, normalize, overlay
from keras_actmaps.render.columns import channels_last, volume_pixels
from keras_actmaps.render.images import pixels, pixels_of
from keras_actmaps.render.montage import SLICES, montage

LENGTH = 4  # of the stripe of a series, in its heights
DPI = 80


def input_thumbnails(inputs: Any, bands: str | Sequence[int] = "mean") -> Array:
    """Inputs as uint8 (N, H, W, 3).

    Tables (N, F) and series (N, T, C) are stripes, the mean of the channels in gray; images are as `pixels` draws them;
    of volumes (N, D, H, W, C) six slices at even distances are drawn.
    """
    array = np.asarray(inputs)
    if array.ndim in (2, 3):
        series = array.astype("float64") if array.ndim == 2 else array.mean(-1, dtype="float64")
        low, high = series.min(1, keepdims=True), series.max(1, keepdims=True)
        return pixels_of(_stripes((series - low) / np.where(high > low, high - low, 1))[..., None])
    return pixels(array, bands) if array.ndim == 4 else _montages(volume_pixels(array, bands))


def map_thumbnails(
    explanation: Explanation,
    inputs: Any,
    colormap: str = "turbo",
    alpha: float | str = 0.5,
    contours: float | None = None,
    bands: str | Sequence[int] = "mean",
) -> Array:
    """Maps as uint8 (N, H, W, 3): overlays of images and volumes, and stripes in the colors of all other raw maps."""
    maps = explanation.maps
    if maps.ndim == 3:
        return overlay(explanation, inputs, alpha, colormap, contours, bands)
    if maps.ndim == 2:
        norms = [map_norm(values, maps) for values in maps]
        colors = np.stack([map_colors(norm, colormap)(norm(one))[:, :3] for norm, one in zip(norms, maps)])
        return np.rint(_stripes(colors) * 255).astype("uint8")
    shares = normalize(maps.reshape(len(maps), 1, -1)).reshape(maps.shape)
    volumes = volume_pixels(channels_last(inputs, maps.shape), bands)
    return _montages(blend(volumes, shares, alpha, colormap, contours))


def figure_pixels(figure: Figure) -> Array:
    """A figure as uint8 (H, W, 3)."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _stripes(series: Array) -> Array:
    """Values (N, T, ...) as stripes (N, h, T, ...)."""
    return np.repeat(series[:, None], -(-series.shape[1] // LENGTH), axis=1)


def _montages(volumes: Array) -> Array:
    """Six slices of each of volumes (N, D, H, W, 3) at even distances."""
    depth = volumes.shape[1]
    chosen = np.unique(np.linspace(0, depth - 1, min(SLICES, depth)).round().astype(int))
    return np.stack([montage(volume, chosen) for volume in volumes])
