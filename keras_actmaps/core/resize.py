"""Bilinear resizing of maps of any rank, which never leaves the range of its values."""

import numpy as np
from keras import ops

from keras_actmaps.core.types import Tensor


def resize(maps: np.ndarray, space: tuple[int, ...]) -> np.ndarray:
    """maps (..., h, w) -> (..., H, W), linear along each axis, at half-pixel centers, constant at the edges."""
    first = maps.ndim - len(space)
    for axis, side in enumerate(space, start=first):
        if maps.shape[axis] != side:
            maps = np.moveaxis(np.moveaxis(maps, axis, -1) @ interpolation(maps.shape[axis], side).T, -1, axis)
    return np.ascontiguousarray(maps, dtype="float32")


def resize_tensor(maps: Tensor, space: tuple[int, ...]) -> Tensor:
    """The same of a tensor, with Keras operations."""
    for axis, side in enumerate(space, start=len(maps.shape) - len(space)):
        rows = ops.matmul(ops.moveaxis(maps, axis, -1), interpolation(maps.shape[axis], side).T)
        maps = ops.moveaxis(rows, -1, axis)
    return maps


def interpolation(small: int, large: int) -> np.ndarray:
    """The matrix (large, small) of linear interpolation at half-pixel centers."""
    positions = np.clip((np.arange(large) + 0.5) * small / large - 0.5, 0, small - 1)
    below = np.minimum(positions.astype(int), max(small - 2, 0))
    weights = np.zeros((large, small), "float32")
    rows = np.arange(large)
    weights[rows, below] = 1 - (positions - below)
    weights[rows, np.minimum(below + 1, small - 1)] += positions - below
    return weights
