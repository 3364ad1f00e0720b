"""Localization against boxes: the overlap of the map's box with a true one.

Boxes are (N, 4), or (M, 4) for each image, of (y0, x0, y1, x1) in pixels, half open. The value of an image without a
true box is NaN; a map without positive values has no box, and the value 0. `data.boxes` returns the boxes of a
data set.
"""

from typing import Annotated, Any

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.metrics.boxes import THRESHOLDS, best_overlaps, pairwise_iou, true_boxes
from keras_actmaps.metrics.boxes import boxes as boxes_of
from keras_actmaps.metrics.registry import Largest, MapFraction, Metric, Threshold, validated

Levels = Annotated[
    tuple[MapFraction, ...] | list[MapFraction], "levels of the intersection over union at which a box is found"
]
Thresholds = Annotated[
    tuple[MapFraction, ...] | list[MapFraction], "fractions of the map's maximum that are tried for the set"
]


@validated
def box_iou(explanation: Explanation, boxes: Any, *, threshold: Threshold = 0.15, largest: Largest = True) -> Array:
    """Intersection over union of the map's box and the true box, in [0, 1].

    |A and B| / |A or B| (Everingham et al. 2010), the highest of all pairs where there are several.

    Parameters
    ----------
    explanation : Explanation
        With maps (N, H, W).
    boxes : array of shape (N, 4), or a list of arrays of shape (M, 4)
        True boxes (y0, x0, y1, x1) of each image, pixels, half open.
    threshold, largest
        As for `kam.boxes`, which uses the positive part of the map.

    Returns
    -------
    float64 array of shape (N,)
        NaN where an image has no true box.

    Raises
    ------
    ValueError
        For boxes that do not fit the maps.
    """
    found = boxes_of(explanation, threshold, largest)
    values = [
        pairwise_iou([box[:4] for box in own], true).max(initial=0) if len(true) else np.nan
        for own, true in zip(found, true_boxes(boxes, len(found)))
    ]
    return np.array(values, "float64")


@validated
def max_box_accuracy(
    explanation: Explanation,
    boxes: Any,
    *,
    levels: Levels = (0.3, 0.5, 0.7),
    thresholds: Thresholds = THRESHOLDS,
    largest: Largest = False,
) -> Array:
    """MaxBoxAccV2: share of the levels at which a box of the map matches a true one, in [0, 1].

    mean_d [IoU_n(t_d) >= d], where t_d is the map threshold at which most images of the set do so (Choe et al. 2020);
    the mean over the images is that of the paper.

    Parameters
    ----------
    explanation, boxes
        As for `box_iou`; of all images of the set.
    levels : sequence of float
        Levels d of the intersection over union.
    thresholds : sequence of float
        Fractions of the map's maximum that are tried.
    largest : bool
        False takes the best of all parts of the map; `levels=(0.5,), largest=True` is the paper's first version.

    Returns
    -------
    float64 array of shape (N,)
        NaN where an image has no true box.

    Raises
    ------
    ValueError
        For boxes that do not fit the maps.

    Notes
    -----
    The size of a part is its number of pixels; the authors' code uses the area of its outline.
    """
    settings = {"levels": levels, "thresholds": thresholds, "largest": largest}
    return _box_accuracy(_overlaps(explanation, boxes, **settings), **settings)


def _overlaps(explanation: Explanation, boxes: Any, *, levels: Any, thresholds: Any, largest: Any) -> Array:
    """The best overlap (N, T) at each threshold."""
    if not levels:
        raise ValueError(f"levels must contain at least one number, got {levels!r}")
    return best_overlaps(explanation, boxes, thresholds, largest).T


def _box_accuracy(overlaps: Array, *, levels: Any, **_: Any) -> Array:
    """The share of the levels (N,) from the overlaps (N, T) of all images of the set."""
    hits = np.stack([level <= overlaps.T for level in levels])
    best = hits.sum(2).argmax(1)
    shares = hits[np.arange(len(levels)), best].mean(0)
    return np.where(np.isnan(overlaps[:, 0]), np.nan, shares)


RECORDS = (
    Metric(
        name="box_iou",
        function=box_iou,
        better="higher",
        requires=frozenset({"boxes"}),
        summary="Intersection over union of the map's box and the true box",
        paper="Everingham et al. 2010",
        cost="No forward pass.",
        limitations="depends on the threshold of the map.",
    ),
    Metric(
        name="max_box_accuracy",
        function=max_box_accuracy,
        better="higher",
        requires=frozenset({"boxes"}),
        summary="Share of the levels of overlap at which a box of the map matches a true one",
        paper="Choe et al. 2020",
        cost="No forward pass; the boxes of each map at 100 thresholds.",
        limitations="depends on the other images of the set.",
        update=_overlaps,
        compute=_box_accuracy,
    ),
)
