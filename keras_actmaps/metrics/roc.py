"""ROC AUC: how well a map separates the pixels of the object from the others."""

from typing import Any

import numpy as np
import scipy

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.metrics._masks import validate_masks
from keras_actmaps.metrics.registry import Metric, validated


@validated
def roc_auc(explanation: Explanation, masks: Any) -> Array:
    """Area under the ROC curve of the map as a detector of the mask's pixels, in [0, 1].

    P(R_p > R_q) + P(R_p = R_q) / 2 for random pixels p in and q outside the mask (the statistic of Mann and Whitney;
    Fawcett 2006). Uses the signed map, in its order only.

    Parameters
    ----------
    explanation, masks
        As for `pointing_game`.

    Returns
    -------
    float64 array of shape (N,)
        1/2 for a constant or a random map; NaN where a mask is empty or covers the image.

    Raises
    ------
    ValueError
        For masks that do not fit the maps.
    """
    values, truth = validate_masks(explanation, masks)
    inside = truth.sum(axis=1)
    pairs = inside * (truth.shape[1] - inside)
    ranks = scipy.stats.rankdata(values, axis=1) if values.size else values
    above = (ranks * truth).sum(axis=1) - inside * (inside + 1) / 2
    return np.where(pairs > 0, above / np.maximum(pairs, 1), np.nan)


RECORDS = (
    Metric(
        name="roc_auc",
        function=roc_auc,
        better="higher",
        requires=frozenset({"masks"}),
        summary="Probability that a pixel of the mask has a higher value than one outside it",
        paper="Fawcett 2006",
        cost="No forward pass.",
        limitations="high for a map that covers more than a small object; a faithful map may find evidence outside it.",
    ),
)
