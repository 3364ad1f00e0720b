"""Agreement: how alike are two maps of the same images, by two methods, two models or two seeds?

absolute=True compares magnitudes, which a change of sign leaves as they are. Raises ValueError for maps of different
shapes.
"""

import numpy as np

from keras_actmaps.core.explanation import Explanation, maps_of_one_target
from keras_actmaps.metrics.ranks import in_top, ranks
from keras_actmaps.metrics.registry import higher_is_better

WINDOW, SIGMA, C1, C2 = 11, 1.5, 0.01**2, 0.03**2  # of SSIM


@higher_is_better
def spearman(explanation: Explanation, other: Explanation, *, absolute: bool = False) -> np.ndarray:
    """Spearman's rank correlation of the pixels (Spearman 1904), -1 to 1: Pearson's of their ranks, ties shared.

    Two constant maps have 1, a constant and another 0. (N,...), (N,...) -> (N,).
    """
    one, two = (ranks(maps.reshape(len(maps), -1)) for maps in _pair(explanation, other, absolute))
    one, two = (part - part.mean(1, keepdims=True) for part in (one, two))
    lengths = np.sqrt((one**2).sum(1)), np.sqrt((two**2).sum(1))
    product = lengths[0] * lengths[1]
    alike = (lengths[0] == 0) & (lengths[1] == 0)
    return np.where(product > 0, (one * two).sum(1) / np.where(product > 0, product, 1), alike)


@higher_is_better
def ssim(explanation: Explanation, other: Explanation, *, absolute: bool = False) -> np.ndarray:
    """The structural similarity of two maps (Wang et al. 2004, eq. 13), -1 to 1: its mean over all whole windows.

    (2 m_x m_y + C1)(2 s_xy + C2) / ((m_x^2 + m_y^2 + C1)(s_x^2 + s_y^2 + C2)) with Gaussian windows of 11 pixels, sigma
    1.5, C1 = 0.01^2 and C2 = 0.03^2. It is made for values 0 to 1 (x and -x would be alike): each map is divided by its
    largest magnitude, and where one of both has negative values, both become (1 + map) / 2. (N,...), (N,...) -> (N,).
    ValueError for a side below 11.
    """
    one, two = _pair(explanation, other, absolute)
    if min(one.shape[1:]) < WINDOW:
        raise ValueError(f"maps of {one.shape[1:]} are smaller than the window of SSIM, {WINDOW} pixels")
    space = tuple(range(1, one.ndim))
    one, two = (maps / (np.abs(maps).max(axis=space, keepdims=True) + (maps == 0).all(axis=space, keepdims=True))
                for maps in (one, two))  # fmt: skip
    is_signed = (np.minimum(one, two) < 0).any(axis=space, keepdims=True)
    one, two = (np.where(is_signed, (1 + maps) / 2, maps) for maps in (one, two))
    m1, m2, m11, m22, m12 = map(_averaged, (one, two, one * one, two * two, one * two))
    alike = (2 * m1 * m2 + C1) * (2 * (m12 - m1 * m2) + C2)
    return (alike / ((m1**2 + m2**2 + C1) * (m11 - m1**2 + m22 - m2**2 + C2))).mean(axis=space)


@higher_is_better
def top_k_overlap(explanation: Explanation, other: Explanation, *, k: float = 0.1, absolute: bool = False):
    """The share of the k highest pixels that both maps have, 0 to 1 (the top-k intersection of Ghorbani et al. 2019).

    |top_k(one) and top_k(other)| / k. Equal pixels, of which some are among the k, have equal parts in them. Maps that
    have nothing to do with each other share k / n on average. (N,...), (N,...) -> (N,).

    k: pixels; below 1, a share of them.
    """
    one, two = (maps.reshape(len(maps), -1) for maps in _pair(explanation, other, absolute))
    count = max(1, round(k * one.shape[1])) if 0 < k < 1 else k
    if not 1 <= count <= one.shape[1] or count != int(count):
        raise ValueError(f"k={k} is no number of pixels; give 1 to {one.shape[1]}, or a share of them below 1")
    return np.minimum(in_top(one, int(count)), in_top(two, int(count))).sum(1) / count


def _pair(explanation: Explanation, other: Explanation, absolute: bool) -> tuple[np.ndarray, np.ndarray]:
    one, two = (maps_of_one_target(part).astype("float64") for part in (explanation, other))
    if one.shape != two.shape:
        raise ValueError(f"maps of shape {one.shape} cannot be compared with maps of shape {two.shape}")
    return (np.abs(one), np.abs(two)) if absolute else (one, two)


def _averaged(maps: np.ndarray) -> np.ndarray:
    """The Gaussian mean of each whole window: every axis of space becomes shorter by 10."""
    weights = np.exp(-0.5 * (np.arange(WINDOW) - WINDOW // 2) ** 2 / SIGMA**2)
    for axis in range(1, maps.ndim):
        windows = np.lib.stride_tricks.sliding_window_view(maps, WINDOW, axis)
        maps = windows @ (weights / weights.sum())
    return maps
