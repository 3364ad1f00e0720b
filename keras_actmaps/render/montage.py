"""The slices of a volume, or the frames of a video, that matter most, in a grid."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from keras_actmaps.core.types import Array

SLICES = 6  # of a volume
PER_ROW = 3
_BOX = {"facecolor": "black", "edgecolor": "none", "pad": 1}
_LABEL: dict[str, Any] = {"color": "white", "fontsize": 7, "va": "top", "bbox": _BOX}


def choose_slices(values: Array, most: int = SLICES) -> Array:
    """The indices of the slices of a map (D, H, W) with the largest sums of magnitudes, from first to last.

    Where all sums are equal, as in a map of zeros, slices at even distances.
    """
    sums = np.abs(values).reshape(len(values), -1).sum(axis=1, dtype="float64")
    if sums.max() == sums.min():
        return np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return np.sort(np.argsort(-sums, kind="stable")[:most])


def montage(volume: Array, chosen: Array) -> Array:
    """The chosen slices of (D, H, W, ...) in rows of at most three: (rows * H, columns * W, ...).

    Missing ones at the end are NaN, or white in pixels.
    """
    columns, rows = grid(len(chosen))
    blank = 255 if volume.dtype == np.uint8 else np.nan
    tiles = np.full((rows * columns, *volume.shape[1:]), blank, volume.dtype)
    tiles[: len(chosen)] = volume[chosen]
    return np.concatenate([np.concatenate(list(tiles[row * columns :][:columns]), axis=1) for row in range(rows)])


def grid(count: int) -> tuple[int, int]:
    """The columns and rows of a montage: four slices are two by two."""
    rows = -(-count // PER_ROW)
    return -(-count // rows), rows


def label_slices(panel: Axes, chosen: Array, shape: tuple[int, ...]) -> None:
    """Separate the slices of a montage by lines, and number each from 0."""
    height, width = shape[:2]
    columns, rows = grid(len(chosen))
    for column in range(1, columns):
        panel.axvline(column * width - 0.5, color="gray", linewidth=1)
    for row in range(1, rows):
        panel.axhline(row * height - 0.5, color="gray", linewidth=1)
    for position, number in enumerate(chosen):
        row, column = divmod(position, columns)
        panel.text((column + 0.03) * width - 0.5, (row + 0.03) * height - 0.5, str(number), **_LABEL)
