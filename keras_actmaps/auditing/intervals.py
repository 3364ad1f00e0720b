"""Rates with 95 % intervals."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_actmaps.core.types import Array

Z = 1.959963984540054  # of a two-sided 95 % interval


class Rate(NamedTuple):
    """A value and its 95 % interval; NaN where nothing was measured."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return "-" if np.isnan(self.value) else f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


UNKNOWN = Rate(np.nan, np.nan, np.nan)


def mean_rate(shares: ArrayLike) -> Rate:
    """The mean of shares in 0..1, NaN left out, with Wilson's score interval (Wilson 1927), one trial per share.

    Shares between 0 and 1, such as means over several hosts, vary less than trials do, so that the interval is wide
    enough.
    """
    known = _known(shares)
    count = len(known)
    if not count:
        return UNKNOWN
    mean = float(known.mean())
    center = (mean + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z / (1 + Z**2 / count) * np.sqrt(mean * (1 - mean) / count + Z**2 / (4 * count**2))
    return Rate(mean, max(0.0, float(center - half)), min(1.0, float(center + half)))


def difference(first: Rate, second: Rate) -> Rate:
    """The difference of two rates, with the interval of their Wilson intervals (Newcombe 1998, method 10)."""
    value = first.value - second.value
    low = value - np.hypot(first.value - first.low, second.high - second.value)
    high = value + np.hypot(first.high - first.value, second.value - second.low)
    return Rate(float(value), float(low), float(high))


def mean_interval(values: ArrayLike) -> Rate:
    """The mean of values, NaN left out, and its normal 95 % interval; without a width for a single value."""
    known = _known(values)
    if not len(known):
        return UNKNOWN
    half = Z * known.std(ddof=1) / np.sqrt(len(known)) if len(known) > 1 else 0.0
    return Rate(float(known.mean()), float(known.mean() - half), float(known.mean() + half))


def _known(values: ArrayLike) -> Array:
    array = np.asarray(values, "float64")
    return array[~np.isnan(array)]
