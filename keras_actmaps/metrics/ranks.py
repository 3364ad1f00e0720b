"""Ranks with ties, of rows of values."""

import numpy as np


def ranks(values: np.ndarray) -> np.ndarray:
    """(N,pixels) -> their places 1 to n from the lowest up; equal values share the mean of theirs."""
    found = np.empty(values.shape)
    for row, one in zip(found, values):
        _, inverse, counts = np.unique(one, return_inverse=True, return_counts=True)
        row[:] = (np.cumsum(counts) - (counts - 1) / 2)[inverse.ravel()]
    return found


def in_top(values: np.ndarray, count) -> np.ndarray:
    """(N,pixels) -> how much each pixel is among the `count` (N,) highest: 1, 0, or an equal part where there are ties.

    Each row sums to its count.
    """
    count = np.broadcast_to(count, len(values))[:, None]
    lowest = np.take_along_axis(-np.sort(-values, axis=1), count - 1, axis=1)
    above, tied = values > lowest, values == lowest
    return above + tied * (count - above.sum(1, keepdims=True)) / tied.sum(1, keepdims=True)
