"""Localization against masks (N, H, W), bool or 0 and 1: the overlap of the map with the object.

Each metric states which part of a signed map it uses; for the positive part, negative values are 0. The value of
an image whose mask is empty is NaN: `numpy.isnan(values).sum()` counts such images, and `numpy.nanmean(values)` is the
mean of the others. If the used part of a map is constant, the value is the expectation for a random map: the mask's
share of the image. `data.masks` returns the masks of a data set, `metrics.boxes.box_masks` those of boxes.
"""

from typing import Annotated, Any

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.settings import Ge
from keras_actmaps.core.types import Array
from keras_actmaps.metrics._masks import nan_without_mask, used_part, validate_masks
from keras_actmaps.metrics._ranks import top_k_membership
from keras_actmaps.metrics.boxes import dilate
from keras_actmaps.metrics.registry import Metric, Part, validated

Tolerance = Annotated[float, Ge(0), "distance from the mask, in pixels, that counts as inside"]


@validated
def pointing_game(explanation: Explanation, masks: Any, *, tolerance: Tolerance = 0) -> Array:
    """Whether the map's highest pixel lies in the mask (the pointing game of Zhang et al. 2018): 1 or 0.

    Uses the signed map. If several pixels are the highest, the value is the share of them in the mask.

    Parameters
    ----------
    explanation : Explanation
        With maps (N, H, W).
    masks : array of shape (N, H, W)
        Bool, or 0 and 1.
    tolerance : float
        Pixels within this distance of the mask count as inside; 15 in the paper, for photographs of some 500 pixels.

    Returns
    -------
    float64 array of shape (N,)
        NaN where a mask is empty.

    Raises
    ------
    ValueError
        For masks that do not fit the maps, and for a tolerance with maps that are not (N, H, W).
    """
    values, truth = validate_masks(explanation, masks)
    shape, near = explanation.maps.shape, truth
    if tolerance:
        if len(shape) != 3:
            raise ValueError(f"tolerance needs maps of shape (N, H, W), got {shape}")
        near = dilate(truth.reshape(shape), tolerance).reshape(truth.shape)
    highest = values == values.max(axis=1, keepdims=True)
    return nan_without_mask(truth, (highest & near).sum(1) / highest.sum(1))


@validated
def energy_pointing(explanation: Explanation, masks: Any) -> Array:
    """Share of the map's positive part that lies in the mask, in [0, 1].

    sum_(p in mask) L_p / sum_p L_p with L = max(map, 0) (Wang et al. 2020, section 4.3). For boxes, as in the
    paper, pass `metrics.boxes.box_masks(boxes, (H, W))`.

    Parameters
    ----------
    explanation, masks
        As for `pointing_game`.

    Returns
    -------
    float64 array of shape (N,)
        NaN where a mask is empty.

    Raises
    ------
    ValueError
        For masks that do not fit the maps.
    """
    return mass_accuracy(explanation, masks, part="positive")


@validated
def mass_accuracy(explanation: Explanation, masks: Any, *, part: Part = "positive") -> Array:
    """Share of the map's mass that lies in the mask (relevance mass accuracy), in [0, 1].

    sum_(p in mask) R_p / sum_p R_p (Arras et al. 2022).

    Parameters
    ----------
    explanation, masks
        As for `pointing_game`.
    part : {"positive", "absolute", "squared"}
        Used part R of the map: max(map, 0), as in `energy_pointing`; |map|; or the squared map, which is dominated by
        the strongest pixels.

    Returns
    -------
    float64 array of shape (N,)
        NaN where a mask is empty.

    Raises
    ------
    ValueError
        For masks that do not fit the maps.
    """
    values, truth = validate_masks(explanation, masks)
    mass = used_part(values, part)
    return nan_without_mask(truth, (mass * truth).sum(1) / mass.sum(1))


@validated
def rank_accuracy(explanation: Explanation, masks: Any, *, part: Part = "positive") -> Array:
    """Share of the K strongest pixels that lies in the mask of K pixels (relevance rank accuracy), in [0, 1].

    |top_K(R) and mask| / K (Arras et al. 2022). Pixels tied at the K-th place count in equal parts.

    Parameters
    ----------
    explanation, masks, part
        As for `mass_accuracy`.

    Returns
    -------
    float64 array of shape (N,)
        NaN where a mask is empty.

    Raises
    ------
    ValueError
        For masks that do not fit the maps.
    """
    values, truth = validate_masks(explanation, masks)
    count = np.maximum(truth.sum(1), 1)
    inside = (top_k_membership(used_part(values, part), count) * truth).sum(1)
    return nan_without_mask(truth, inside / count)


_COST = "No forward pass."
_LIMITATIONS = "a faithful map scores low if the model relies on evidence outside the mask."
RECORDS = (
    Metric(
        name="pointing_game",
        function=pointing_game,
        better="higher",
        requires=frozenset({"masks"}),
        summary="Whether the map's highest pixel lies in the mask",
        paper="Zhang et al. 2018",
        cost=_COST,
        limitations=_LIMITATIONS,
    ),
    Metric(
        name="energy_pointing",
        function=energy_pointing,
        better="higher",
        requires=frozenset({"masks"}),
        summary="Share of the map's positive part that lies in the mask",
        paper="Wang et al. 2020, section 4.3",
        cost=_COST,
        limitations=_LIMITATIONS,
    ),
    Metric(
        name="mass_accuracy",
        function=mass_accuracy,
        better="higher",
        requires=frozenset({"masks"}),
        summary="Share of the map's mass that lies in the mask",
        paper="Arras et al. 2022",
        cost=_COST,
        limitations=_LIMITATIONS,
    ),
    Metric(
        name="rank_accuracy",
        function=rank_accuracy,
        better="higher",
        requires=frozenset({"masks"}),
        summary="Share of the K strongest pixels that lies in the mask of K pixels",
        paper="Arras et al. 2022",
        cost=_COST,
        limitations=_LIMITATIONS,
    ),
)
