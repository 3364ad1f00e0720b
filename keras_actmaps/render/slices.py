"""Films of volumes slice by slice, and of videos frame by frame, with their overlays."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_actmaps.core.explanation import Explanation, maps_of_one_target
from keras_actmaps.core.types import Array
from keras_actmaps.render.animation import FRAME_RATE, film
from keras_actmaps.render.colors import ALPHA, blend, normalize
from keras_actmaps.render.images import pixels_of
from keras_actmaps.render.ranks import channels_last

MOST = 4  # examples below each other


def explanation_film(
    explanation: Explanation,
    inputs: Any,
    path: str | os.PathLike,
    alpha: float | str = 0.5,
    colormap: str = "turbo",
    speed: int = FRAME_RATE,
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
    alpha, colormap
        As for `overlay`.
    speed : int
        Slices per second.

    Raises
    ------
    ValueError
        For maps of another rank, inputs that do not fit them, and other file formats.
    OSError
        If the file cannot be written, as where OpenCV has no encoder for .mp4.
    """
    alpha, maps = ALPHA.validate(alpha), maps_of_one_target(explanation)
    if maps.ndim != 4 or not maps.size:
        raise ValueError(f"a film needs maps of volumes or videos, (N, D, H, W), got {maps.shape}")
    array, maps = channels_last(inputs, maps.shape)[:MOST], maps[:MOST]
    count, depth, height, width = maps.shape
    # One image per volume, so that its range is that of the whole.
    volumes = pixels_of(array.reshape(count, depth * height, width, -1)).reshape(*maps.shape, 3)
    values = normalize(maps.reshape(count, 1, -1)).reshape(maps.shape)
    frames = (_frame(volumes[:, z], values[:, z], alpha, colormap) for z in range(depth))
    titles = [title for number in range(count) for title in (str(number), f"{number}, {explanation.method}")]
    return film(frames, titles, [f"{z + 1} of {depth}" for z in range(depth)], path, speed)


def _frame(images: Array, values: Array, alpha: float | str, colormap: str) -> Array:
    """The image and the overlay of each example, one after another: (2 N, H, W, 3)."""
    pairs = np.stack([images, blend(images, values, alpha, colormap)], axis=1)
    return pairs.reshape(-1, *images.shape[1:])
