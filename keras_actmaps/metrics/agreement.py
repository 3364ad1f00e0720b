"""Agreement: the similarity of two maps of the same images, by two methods, models or seeds."""

from typing import Annotated

import numpy as np
import scipy

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.settings import Gt
from keras_actmaps.core.types import Array
from keras_actmaps.metrics._inputs import one_map_per_image
from keras_actmaps.metrics._ranks import correlation, top_k_membership
from keras_actmaps.metrics.registry import Absolute, validated

RADIUS, SIGMA, C1, C2 = 5, 1.5, 0.01**2, 0.03**2  # of SSIM
TopK = Annotated[float, Gt(0), "number of pixels; below 1, a share of them"]


@validated
def spearman(explanation: Explanation, other: Explanation, *, absolute: Absolute = False) -> Array:
    """Spearman's rank correlation of the pixels of two maps, in [-1, 1].

    Pearson's correlation of the ranks (Spearman 1904); ties share the mean of their ranks. It is 1 for two
    constant maps, and 0 for a constant and a varying one.

    Parameters
    ----------
    explanation, other : Explanation
        With one map per image, of any rank.
    absolute : bool
        Compare magnitudes, which do not change with the sign.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        For maps of different shapes, of several targets, or that are not finite.
    """
    one, two = (
        scipy.stats.rankdata(maps.reshape(len(maps), -1), axis=1) for maps in _pair(explanation, other, absolute)
    )
    are_constant = (np.ptp(one, axis=1) == 0) & (np.ptp(two, axis=1) == 0)
    return np.where(are_constant, 1, correlation(one, two))


@validated
def ssim(explanation: Explanation, other: Explanation, *, absolute: Absolute = False) -> Array:
    """Structural similarity of two maps, in [-1, 1]: its mean over all windows that lie inside the map.

    (2 m_x m_y + C1)(2 s_xy + C2) / ((m_x^2 + m_y^2 + C1)(s_x^2 + s_y^2 + C2)) (Wang et al. 2004, eq. 13) with Gaussian
    windows of 11 pixels, sigma 1.5, C1 = 0.01^2 and C2 = 0.03^2. It is defined for values in [0, 1] (x and -x would be
    similar): each map is divided by its largest magnitude, and where one of the two has negative values, both become
    (1 + map) / 2.

    Parameters
    ----------
    explanation, other : Explanation
        With one map per image, of any rank, 11 or more along each axis.
    absolute : bool
        Compare magnitudes, which do not change with the sign.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        For maps that are smaller than the window, of different shapes, of several targets, or that are not finite.
    """
    one, two = _pair(explanation, other, absolute)
    window = 2 * RADIUS + 1
    if min(one.shape[1:]) < window:
        raise ValueError(f"maps of shape {one.shape[1:]} are smaller than the window of SSIM, {window} pixels")
    space = tuple(range(1, one.ndim))
    one, two = _unit_magnitude(one, space), _unit_magnitude(two, space)
    is_signed = (np.minimum(one, two) < 0).any(axis=space, keepdims=True)
    one, two = (np.where(is_signed, (1 + maps) / 2, maps) for maps in (one, two))
    m1, m2, m11, m22, m12 = map(_windowed_mean, (one, two, one * one, two * two, one * two))
    similarity = (2 * m1 * m2 + C1) * (2 * (m12 - m1 * m2) + C2)
    return (similarity / ((m1**2 + m2**2 + C1) * (m11 - m1**2 + m22 - m2**2 + C2))).mean(axis=space)


@validated
def top_k_overlap(explanation: Explanation, other: Explanation, *, k: TopK = 0.1, absolute: Absolute = False) -> Array:
    """Share of the k highest pixels that two maps have in common, in [0, 1].

    |top_k(one) and top_k(other)| / k (the top-k intersection of Ghorbani et al. 2019). Pixels
    tied at the k-th place count in equal parts. Unrelated maps of n pixels share k / n on average.

    Parameters
    ----------
    explanation, other : Explanation
        With one map per image, of any rank.
    k : float
        Number of pixels; below 1, a share of them.
    absolute : bool
        Compare magnitudes, which do not change with the sign.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        For a `k` above the number of pixels, and for maps of different shapes, of several targets, or that are not
        finite.
    """
    one, two = (maps.reshape(len(maps), -1) for maps in _pair(explanation, other, absolute))
    pixels = one.shape[1]
    count = max(1, round(k * pixels)) if k < 1 else k
    if count > pixels or count != int(count):
        raise ValueError(f"k must be a number of pixels from 1 to {pixels}, or a share of them below 1, got {k}")
    common = np.minimum(top_k_membership(one, int(count)), top_k_membership(two, int(count)))
    return common.sum(1) / count


def _pair(explanation: Explanation, other: Explanation, absolute: bool) -> tuple[Array, Array]:
    """The maps of both as float64; ValueError for different shapes."""
    one, two = (one_map_per_image(each).astype("float64") for each in (explanation, other))
    if one.shape != two.shape:
        raise ValueError(f"maps of shape {one.shape} cannot be compared with maps of shape {two.shape}")
    return (np.abs(one), np.abs(two)) if absolute else (one, two)


def _unit_magnitude(maps: Array, space: tuple[int, ...]) -> Array:
    """Maps divided by their largest magnitude; a map of zeros unchanged."""
    largest = np.abs(maps).max(axis=space, keepdims=True)
    return maps / np.where(largest > 0, largest, 1)


def _windowed_mean(maps: Array) -> Array:
    """The Gaussian mean over each window inside the map: every axis of space becomes shorter by 10."""
    axes = tuple(range(1, maps.ndim))
    means = scipy.ndimage.gaussian_filter(maps, SIGMA, radius=RADIUS, axes=axes)
    return means[(slice(None), *(slice(RADIUS, -RADIUS) for _ in axes))]
