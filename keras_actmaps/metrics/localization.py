"""Localization against masks (N, H, W), bool or 0 and 1: does the map lie where the object is?

Each metric says which part of a signed map it uses; where that is the positive part, all else counts as 0. The value of
an image whose mask is empty is NaN: `numpy.isnan(values).sum()` counts such images, and `numpy.nanmean(values)` is the
mean of the others. A map that is constant in the part that is used points nowhere, and gets what a random map gets on
average: the mask's share of the image. `data.masks` makes masks of what a data set knows, `metrics.boxes.box_masks` of
boxes.
"""

from typing import Annotated, Any

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.settings import Ge
from keras_actmaps.core.types import Array
from keras_actmaps.metrics._inputs import one_map_per_image
from keras_actmaps.metrics._ranks import top_k_membership
from keras_actmaps.metrics.boxes import dilate
from keras_actmaps.metrics.registry import Metric, Part, validated

LEVELS = 1000  # of a map, as in the program of the paper of pixel_average_precision
Tolerance = Annotated[float, Ge(0), "pixels around the mask that count as inside"]


@validated
def pointing_game(explanation: Explanation, masks: Any, *, tolerance: Tolerance = 0) -> Array:
    """Whether the map's highest pixel lies in the mask (the pointing game of Zhang et al. 2018): 1 or 0.

    Uses the signed map. Where several pixels are the highest: the share of them that lies in the mask.

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
    values, truth = _validate_masks(explanation, masks)
    shape, near = explanation.maps.shape, truth
    if tolerance:
        if len(shape) != 3:
            raise ValueError(f"tolerance needs maps of shape (N, H, W), got {shape}")
        near = dilate(truth.reshape(shape), tolerance).reshape(truth.shape)
    highest = values == values.max(axis=1, keepdims=True)
    return _nan_without_mask(truth, (highest & near).sum(1) / highest.sum(1))


@validated
def energy_pointing(explanation: Explanation, masks: Any) -> Array:
    """Share of the map's positive part that lies in the mask, in [0, 1].

    sum_(p in mask) L_p / sum_p L_p with L = max(map, 0) (Wang et al. 2020, section 4.3). The paper has boxes: pass
    `metrics.boxes.box_masks(boxes, (H, W))` for these.

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
        What R is of the map: max(map, 0), which is `energy_pointing`; |map|; or map squared, in which the strongest
        pixels decide.

    Returns
    -------
    float64 array of shape (N,)
        NaN where a mask is empty.

    Raises
    ------
    ValueError
        For masks that do not fit the maps.
    """
    values, truth = _validate_masks(explanation, masks)
    mass = _used_part(values, part)
    return _nan_without_mask(truth, (mass * truth).sum(1) / mass.sum(1))


@validated
def rank_accuracy(explanation: Explanation, masks: Any, *, part: Part = "positive") -> Array:
    """Share of the K strongest pixels that lies in the mask of K pixels (relevance rank accuracy), in [0, 1].

    |top_K(R) and mask| / K (Arras et al. 2022). Equal pixels, of which some are among the K, count in equal parts.

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
    values, truth = _validate_masks(explanation, masks)
    count = np.maximum(truth.sum(1), 1)
    inside = (top_k_membership(_used_part(values, part), count) * truth).sum(1)
    return _nan_without_mask(truth, inside / count)


@validated
def pixel_average_precision(explanation: Explanation, masks: Any) -> Array:
    """PxAP: average precision of the pixels of a whole set of images, as each image's part in it.

    PxAP = sum_t precision(t) (recall(t) - recall(t-)) over all pixels of all images at once (Choe et al. 2020), with the
    thresholds t = 0, 0.001, ..., 1 of each map's positive part divided by its maximum. Image n's part is the precision
    at its mask's pixels, summed over these, divided by the mean size of a mask; the mean over the images is PxAP. The
    paper stretches each map from its minimum.

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
    """The pixels (N, 2, levels) of each level in the mask, and all of them; 0 where the mask is empty."""
    values, truth = _validate_masks(explanation, masks)
    mass = _used_part(values, "positive")
    levels = (mass / mass.max(axis=1, keepdims=True) * LEVELS).astype(int)
    counts = [
        [np.bincount(pixels, minlength=LEVELS + 1) for pixels in (row[inside], row)]
        for row, inside in zip(levels, truth)
    ]
    return np.array(counts, "uint32") * truth.any(axis=1)[:, None, None]


def _average_precision(counts: Array) -> Array:
    """Each image's part (N,) in the average precision, from the pixels (N, 2, levels) of all images of the set."""
    inside = counts[:, 0].astype("float64")
    above = counts[..., ::-1].sum(0, dtype="int64").cumsum(1)[:, ::-1]
    precision = above[0] / np.maximum(above[1], 1)
    has_mask = inside.any(axis=1)
    parts = (inside * precision).sum(1) * has_mask.sum() / max(inside.sum(), 1)
    return np.where(has_mask, parts, np.nan)


def _validate_masks(explanation: Explanation, masks: Any) -> tuple[Array, Array]:
    """Maps and masks as (N, pixels), float64 and bool; ValueError where they do not fit."""
    if masks is None:
        raise ValueError("masks must be bool or 0 and 1, one per image, got None")
    maps = one_map_per_image(explanation)
    try:
        masks = np.asarray(masks)
        is_binary = masks.dtype.kind in "biuf" and bool(np.isin(masks, (0, 1)).all())
    except (TypeError, ValueError):
        raise ValueError("masks must be one array of shape (N, H, W), bool or 0 and 1") from None
    if masks.shape != maps.shape:
        raise ValueError(f"masks of shape {masks.shape} do not fit maps of shape {maps.shape}")
    if not is_binary:
        raise ValueError("masks contain other values than 0 and 1; data.masks makes masks of what a data set knows")
    return maps.reshape(len(maps), -1).astype("float64"), masks.reshape(len(maps), -1).astype(bool)


def _used_part(values: Array, part: str) -> Array:
    """What is used of signed values (N, pixels); 1 everywhere where all of it is 0."""
    used = {"positive": lambda: np.maximum(values, 0), "absolute": lambda: np.abs(values), "squared": lambda: values**2}
    found = used[part]()
    return np.where(found.any(axis=1, keepdims=True), found, 1)


def _nan_without_mask(truth: Array, values: Array) -> Array:
    """The values (N,) with NaN where a mask is empty."""
    return np.where(truth.any(axis=1), values, np.nan)


def _metric(name: str, function: Any, summary: str, paper: str, limitations: str, **more: Any) -> Metric:
    return Metric(
        name=name,
        function=function,
        better="higher",
        requires=frozenset({"masks"}),
        summary=summary,
        paper=paper,
        cost="No forward pass.",
        limitations=limitations,
        **more,
    )


_TRUTH = "a model may be right for a reason outside the mask; then a faithful map scores low."
RECORDS = (
    _metric(
        "pointing_game", pointing_game, "Whether the map's highest pixel lies in the mask", "Zhang et al. 2018", _TRUTH
    ),
    _metric(
        "energy_pointing",
        energy_pointing,
        "Share of the map's positive part that lies in the mask",
        "Wang et al. 2020, section 4.3",
        _TRUTH,
    ),
    _metric(
        "mass_accuracy", mass_accuracy, "Share of the map's mass that lies in the mask", "Arras et al. 2022", _TRUTH
    ),
    _metric(
        "rank_accuracy",
        rank_accuracy,
        "Share of the K strongest pixels that lies in the mask of K pixels",
        "Arras et al. 2022",
        _TRUTH,
    ),
    _metric(
        "pixel_average_precision",
        pixel_average_precision,
        "Average precision of the pixels of the whole set, as each image's part in it",
        "Choe et al. 2020",
        "depends on the other images of the set.",
        update=_level_counts,
        compute=_average_precision,
    ),
)
