"""Masks from maps: the pixels above a threshold."""

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.metrics._parts import cut_level, positive_part
from keras_actmaps.metrics.boxes import THRESHOLD


def masks(explanation: Explanation, threshold: float | str = 0.15) -> Array:
    """The pixels where map > threshold * max(map), as bool like the maps.

    Parameters
    ----------
    explanation : Explanation
        With maps (N, T), (N, H, W) or (N, D, H, W).
    threshold : float or "otsu"
        As for `boxes`.

    Raises
    ------
    ValueError
        For any other threshold, and for maps of any other shape.
    """
    threshold = THRESHOLD.validate(threshold)
    return np.stack([values > cut_level(values, threshold) for values in positive_part(explanation)])
