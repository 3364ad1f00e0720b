"""Complexity: does a map point at few places? Of magnitudes; a map of zeros counts as uniform."""

import numpy as np

from keras_actmaps.core.explanation import Explanation, maps_of_one_target
from keras_actmaps.metrics.registry import higher_is_better, lower_is_better


@higher_is_better
def sparseness(explanation: Explanation) -> np.ndarray:
    """The Gini index of the map's magnitudes (Chalasani et al. 2020; Hurley and Rickard 2009).

    1 - 2 sum_k v_k / |v|_1 (n - k + 1/2) / n with v = |map| in rising order: 0 for a uniform map, 1 - 1/n for one that
    is a single pixel of n. (N,...) -> (N,).
    """
    rising = np.sort(_shares(explanation), axis=1)
    n = rising.shape[1]
    return 1 - 2 * (rising * (n - np.arange(1, n + 1) + 0.5) / n).sum(1)


@lower_is_better
def entropy(explanation: Explanation) -> np.ndarray:
    """The entropy of the map's magnitudes, in nats (Bhatt et al. 2020, who call it complexity).

    -sum_p P_p ln P_p with P = |map| / |map|_1: 0 for a single pixel, ln n for a uniform map of n. (N,...) -> (N,).
    """
    shares = _shares(explanation)
    return -(shares * np.log(np.where(shares > 0, shares, 1))).sum(1)


def _shares(explanation: Explanation) -> np.ndarray:
    """Magnitudes (N,pixels) that sum to 1."""
    maps = maps_of_one_target(explanation)
    sizes = np.abs(maps.reshape(len(maps), -1).astype("float64"))
    sizes = np.where(sizes.any(axis=1, keepdims=True), sizes, 1)
    return sizes / sizes.sum(1, keepdims=True)
