"""Films of volumes slice by slice, and of videos frame by frame, with their overlays."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_actmaps.core.explanation import Explanation, maps_of_one_target
from keras_actmaps.core.types import Array
from keras_actmaps.render.animation import FRAME_RATE, film
from keras_actmaps.render.colors import ALPHA, CONTOURS, blend, normalize
from keras_actmaps.render.columns import channels_last, volume_pixels
from keras_actmaps.render.images import bands_title

MOST = 4  # examples below each other


def explanation_film(
    explanation: Explanation,
    inputs: Any,
    path: str | os.PathLike,
    alpha: float | str = 0.5,
    colormap: str = "turbo",
    speed: int = FRAME_RATE,
    contours: float | None = None,
    bands: str | Sequence[int] = "mean",
    titles: Sequence[str] | None = None,
) -> Path:
    """Write a film of the slices of volumes or the frames of videos, each beside its overlay, atomically.

    Zero and the maximum of a map have the same colors in all slices.

    Parameters
    ----------
    explanation : Explanation
        With maps (N, D, H, W), of which the first 4 are drawn.
    inputs : array of shape (N, D, H, W, C)
    path : path
        A name that ends in .gif or .mp4.
    alpha, colormap, contours, bands
        As for `overlay`.
    speed : int
        Slices per second.
    titles : sequence of str, optional
        One per example; its number by default.

    Raises
    ------
    ValueError
        For maps of another rank, inputs that do not fit them, and other file formats.
    OSError
        If the file cannot be written, as where OpenCV has no encoder for .mp4.
    """
    style = ALPHA.validate(alpha), colormap, CONTOURS.validate(contours)
    maps = maps_of_one_target(explanation)
    if maps.ndim != 4 or not maps.size:
        raise ValueError(f"a film needs maps of volumes or videos, (N, D, H, W), got {maps.shape}")
    array, maps = channels_last(inputs, maps.shape)[:MOST], maps[:MOST]
    volumes, note = volume_pixels(array, bands), bands_title(array.shape[-1], bands)
    values = normalize(maps.reshape(len(maps), 1, -1)).reshape(maps.shape)
    frames = (_frame(volumes[:, z], values[:, z], style) for z in range(maps.shape[1]))
    names = list(map(str, range(len(maps)))) if titles is None else titles[:MOST]
    over = [title for name in names for title in (f"{name}{note}", f"{name}, {explanation.method}")]
    captions = [f"{z} of 0–{maps.shape[1] - 1}" for z in range(maps.shape[1])]
    return film(frames, over, captions, path, speed, columns=2 * min(len(maps), 2))


def _frame(images: Array, values: Array, style: tuple[float | str, str, float | None]) -> Array:
    """The image and the overlay of each example, one after another: (2 N, H, W, 3)."""
    pairs = np.stack([images, blend(images, values, *style)], axis=1)
    return pairs.reshape(-1, *images.shape[1:])
