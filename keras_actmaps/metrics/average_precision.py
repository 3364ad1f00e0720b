"""Localization against masks of a whole set: pixel average precision."""

from typing import Any

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.metrics._masks import used_part, validate_masks
from keras_actmaps.metrics.registry import Metric, validated

LEVELS = 1000  # of a map, as in the authors' code


@validated
def pixel_average_precision(explanation: Explanation, masks: Any) -> Array:
    """PxAP: average precision of the pixels of a set of images, as the contribution of each image.

    PxAP = sum_t precision(t) (recall(t) - recall(t-)) over the pixels of all images together (Choe et al. 2020), with
    the thresholds t = 0, 0.001, ..., 1 of each map's positive part divided by its maximum. The contribution of image n
    is the precision at its mask's pixels, summed over these, divided by the mean size of a mask; the mean over the
    images is PxAP. In the paper each map is scaled from its minimum.

    Parameters
    ----------
    explanation, masks
        As for `pointing_game`; of all images of the set.

    Returns
    -------
    float64 array of shape (N,)
        NaN where a mask is empty; above 1 where a mask is large.

    Raises
    ------
    ValueError
        For masks that do not fit the maps.
    """
    return _average_precision(_level_counts(explanation, masks))


def _level_counts(explanation: Explanation, masks: Any) -> Array:
    """The number of pixels (N, 2, levels) of each level, in the mask and in total; 0 if the mask is empty."""
    values, truth = validate_masks(explanation, masks)
    mass = used_part(values, "positive")
    levels = (mass / mass.max(axis=1, keepdims=True) * LEVELS).astype(int)
    counts = [
        [np.bincount(pixels, minlength=LEVELS + 1) for pixels in (row[inside], row)]
        for row, inside in zip(levels, truth)
    ]
    return np.array(counts, "uint32") * np.any(truth, axis=1, keepdims=True)[..., None]


def _average_precision(counts: Array) -> Array:
    """The contribution (N,) of each image to the average precision, from the counts (N, 2, levels) of the set."""
    inside = counts[:, 0].astype("float64")
    above = counts[..., ::-1].sum(0, dtype="int64").cumsum(1)[:, ::-1]
    precision = above[0] / np.maximum(above[1], 1)
    has_mask = inside.any(axis=1)
    parts = (inside * precision).sum(1) * has_mask.sum() / max(inside.sum(), 1)
    return np.where(has_mask, parts, np.nan)


RECORDS = (
    Metric(
        name="pixel_average_precision",
        function=pixel_average_precision,
        better="higher",
        requires=frozenset({"masks"}),
        summary="Average precision of the pixels of the whole set, as the contribution of each image",
        paper="Choe et al. 2020",
        cost="No forward pass.",
        limitations="depends on the other images of the set.",
        update=_level_counts,
        compute=_average_precision,
    ),
)
