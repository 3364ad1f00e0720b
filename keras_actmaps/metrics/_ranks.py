"""Statistics of rows: correlation, and membership in the top k with ties."""

import numpy as np

from keras_actmaps.core.types import Array


def correlation(first: Array, second: Array) -> Array:
    """Pearson's correlation (N,) of the rows (N, M) of two arrays; 0 where a row is constant, up to rounding.

    scipy.stats.pearsonr is undefined there.
    """
    rows = [one - one.mean(axis=1, keepdims=True) for one in (first, second)]
    norms = [np.linalg.norm(row, axis=1) for row in rows]
    noise = [1e-6 * np.linalg.norm(one, axis=1) for one in (first, second)]
    is_varied = (norms[0] > noise[0]) & (norms[1] > noise[1])
    return np.where(is_varied, (rows[0] * rows[1]).sum(axis=1) / np.where(is_varied, norms[0] * norms[1], 1), 0)


def top_k_membership(values: Array, count: int | Array) -> Array:
    """Whether each value (N, M) is among the `count`, one or (N,), highest: 1, 0, or an equal fraction for ties.

    Each row sums to its count.
    """
    counts = np.broadcast_to(count, len(values))[:, None]
    lowest = np.take_along_axis(-np.sort(-values, axis=1), counts - 1, axis=1)
    above, tied = values > lowest, values == lowest
    return above + tied * (counts - above.sum(1, keepdims=True)) / tied.sum(1, keepdims=True)
