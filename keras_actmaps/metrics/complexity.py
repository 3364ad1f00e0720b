"""Complexity: whether a map concentrates on few pixels, by magnitude. A map of zeros is treated as uniform."""

import numpy as np
from scipy import special

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.metrics._inputs import one_map_per_image
from keras_actmaps.metrics.registry import MapFraction, Metric, validated


@validated
def sparseness(explanation: Explanation) -> Array:
    """Gini index of the map's magnitudes.

    1 - 2 sum_k v_k / |v|_1 (n - k + 1/2) / n with v = |map| in ascending order (Chalasani et al. 2020; Hurley and
    Rickard 2009): 0 for a uniform map, 1 - 1/n for a single pixel of n.

    Parameters
    ----------
    explanation : Explanation
        With one map per image.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        For maps of several targets, and for maps that are not finite.

    Examples
    --------
    >>> import keras_actmaps as kam, numpy as np
    >>> maps = np.array([[0, 0, 0, 1.0], [1, 1, 1, 1]])
    >>> e = kam.Explanation(maps, targets=np.zeros(2, int), scores=np.zeros(2), method="saliency")
    >>> kam.metrics.sparseness(e)
    array([0.75, 0.  ])
    """
    ascending = np.sort(_shares(explanation), axis=1)
    n = ascending.shape[1]
    return 1 - 2 * (ascending * (n - np.arange(1, n + 1) + 0.5) / n).sum(1)


@validated
def entropy(explanation: Explanation) -> Array:
    """Entropy of the map's magnitudes, in nats.

    -sum_p P_p ln P_p with P = |map| / |map|_1 (Bhatt et al. 2020, who call it complexity): 0 for a single pixel, ln n
    for a uniform map of n.

    Parameters
    ----------
    explanation : Explanation
        With one map per image.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        For maps of several targets, and for maps that are not finite.
    """
    return special.entr(_shares(explanation)).sum(1)


@validated
def effective_complexity(explanation: Explanation, *, threshold: MapFraction = 1e-5) -> Array:
    """Number of pixels that the map holds relevant.

    |{p: |R_p| > threshold max |R|}|, Quantus' form of the effective complexity of Nguyen and Martinez (2020). Theirs is
    the smallest number of pixels, in the order of the map, that determine the model's output up to a tolerance.

    Parameters
    ----------
    explanation : Explanation
        With one map per image.
    threshold : float
        As a share of the map's largest magnitude, from 0 and below 1.

    Returns
    -------
    float64 array of shape (N,)
        From 1 to the number of pixels.

    Raises
    ------
    ValueError
        For maps of several targets, and for maps that are not finite.
    """
    shares = _shares(explanation)
    return (shares > threshold * shares.max(axis=1, keepdims=True)).sum(1).astype("float64")


def _shares(explanation: Explanation) -> Array:
    """Magnitudes (N, pixels) that sum to 1."""
    maps = one_map_per_image(explanation)
    magnitudes = np.abs(maps.reshape(len(maps), -1).astype("float64"))
    magnitudes = np.where(magnitudes.any(axis=1, keepdims=True), magnitudes, 1)
    return magnitudes / magnitudes.sum(1, keepdims=True)


_LIMITATIONS = "does not depend on the model, so a concentrated map may be wrong."
RECORDS = (
    Metric(
        name="sparseness",
        function=sparseness,
        better="higher",
        summary="Gini index of the map's magnitudes",
        paper="Chalasani et al. 2020",
        cost="No forward pass.",
        limitations=_LIMITATIONS,
    ),
    Metric(
        name="entropy",
        function=entropy,
        better="lower",
        summary="Entropy of the map's magnitudes, in nats",
        paper="Bhatt et al. 2020",
        cost="No forward pass.",
        limitations=_LIMITATIONS,
    ),
    Metric(
        name="effective_complexity",
        function=effective_complexity,
        better="lower",
        summary="Number of pixels whose magnitude exceeds a small share of the largest",
        paper="Nguyen & Martinez 2020",
        cost="No forward pass.",
        limitations="counts noise; maps that are resized from a layer are nowhere exactly 0.",
    ),
)
