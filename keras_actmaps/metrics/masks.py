"""Masks from maps: the pixels above a threshold."""

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.metrics.boxes import THRESHOLD, cut_level, positive_part


def masks(explanation: Explanation, threshold: float | str = 0.15) -> Array:
    """The pixels where map > threshold * max(map), as bool (N, H, W).

    Parameters
    ----------
    explanation : Explanation
        With maps (N, H, W).
    threshold : float or "otsu"
        As for `boxes`.

    Raises
    ------
    ValueError
        For any other threshold, and for maps that are not (N, H, W).
    """
    threshold = THRESHOLD.validate(threshold)
    return np.stack([values > cut_level(values, threshold) for values in positive_part(explanation)])
