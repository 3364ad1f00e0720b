"""Boxes from maps: the connected parts above a threshold; the overlap of boxes; boxes as masks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.settings import Setting
from keras_actmaps.core.types import Array
from keras_actmaps.metrics._parts import cut_level, parts_of, positive_part
from keras_actmaps.metrics.registry import Largest, MapFraction, Threshold

Box = tuple[Any, ...]  # int starts, int ends, score
THRESHOLDS = tuple(np.arange(100) / 100)  # candidates for the best one
THRESHOLD = Setting("threshold", Threshold, 0.15, "")
_LARGEST = Setting("largest", Largest, True, "")
_THRESHOLDS = Setting("thresholds", tuple[MapFraction, ...] | list[MapFraction], THRESHOLDS, "")


def boxes(explanation: Explanation, threshold: float | str = 0.15, largest: bool = True) -> list[list[Box]]:
    """Boxes around the evidence for the target (Selvaraju et al. 2017, section 4.1).

    They enclose the parts, connected by sides or corners, where map > threshold * max(map).

    Parameters
    ----------
    explanation : Explanation
        With maps (N, H, W), (N, T) or (N, D, H, W).
    threshold : float or "otsu"
        A fraction of each map's maximum (0.15 in the paper), >= 0 and < 1; or "otsu", the level among 256 that divides
        0 to the maximum into two classes with the least variance in each (Otsu 1979). `best_threshold` finds a fraction
        on a validation set.
    largest : bool
        True returns only the part with the most pixels; False all parts, the largest first.

    Returns
    -------
    list of list of tuple
        For each image (y0, x0, y1, x1, score): pixels, half open, and the share of the map's positive values that lies
        in the part. For a series intervals (t0, t1, score), for a volume (z0, y0, x0, z1, y1, x1, score). A map without
        positive values has no box.

    Raises
    ------
    ValueError
        For any other threshold, and for maps of any other shape.
    """
    threshold, largest = THRESHOLD.validate(threshold), _LARGEST.validate(largest)
    found = []
    for values in positive_part(explanation):
        labels, sides, order = parts_of(values, cut_level(values, threshold))
        shares = np.bincount(labels.ravel(), values.ravel()) / (values.sum(dtype="float64") or 1)
        found.append([(*sides[part], float(shares[part])) for part in order[: 1 if largest else None]])
    return found


def best_threshold(
    explanation: Explanation,
    truth: Any,
    iou: float = 0.5,
    thresholds: Sequence[float] = THRESHOLDS,
    largest: bool = True,
) -> float:
    """The fraction at which most images of a validation set have a box that matches a true one (Choe et al. 2020).

    argmax_t |{n: IoU_n(t) >= iou}|, the least such t.

    Parameters
    ----------
    explanation, truth, thresholds, largest
        As for `best_overlaps`.
    iou : float
        Least intersection over union of a match.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For thresholds and boxes that do not fit.
    """
    overlaps = best_overlaps(explanation, truth, thresholds, largest)
    return float(thresholds[int(np.argmax((overlaps >= iou).sum(1)))])


def best_overlaps(explanation: Explanation, truth: Any, thresholds: Sequence[float], largest: bool) -> Array:
    """At each threshold the highest IoU between a box of the map and a true box; 0 where the map has none.

    Parameters
    ----------
    explanation : Explanation
        With maps (N, H, W).
    truth : array or list
        Boxes (y0, x0, y1, x1) in pixels, half open: (N, 4), or (M, 4) for each image. A box without an area, such as
        (0, 0, 0, 0), is ignored.
    thresholds : sequence of float
        Fractions of the map's maximum.
    largest : bool
        As for `boxes`.

    Returns
    -------
    float64 array of shape (thresholds, N)
        NaN for an image without a true box.

    Raises
    ------
    ValueError
        For thresholds and boxes that do not fit.
    """
    thresholds, largest = _THRESHOLDS.validate(thresholds), _LARGEST.validate(largest)
    if not thresholds:
        raise ValueError(f"thresholds must contain at least one fraction, got {thresholds!r}")
    values = positive_part(explanation)
    if values.ndim != 3:
        raise ValueError(f"true boxes need maps of images, (N, H, W), got {values.shape}")
    overlaps = np.full((len(thresholds), len(values)), np.nan)
    for number, (one, true) in enumerate(zip(values, true_boxes(truth, len(values)))):
        if len(true):
            for row, threshold in enumerate(thresholds):
                _, sides, order = parts_of(one, cut_level(one, threshold))
                found = [sides[part] for part in order[: 1 if largest else None]]
                overlaps[row, number] = pairwise_iou(found, true).max(initial=0)
    return overlaps


def pairwise_iou(first: Any, second: Any) -> Array:
    """Intersection over union (A, B) of boxes (A, 4) and (B, 4)."""
    first, second = (np.reshape(np.asarray(part, "float64"), (-1, 4)) for part in (first, second))
    starts = np.maximum(first[:, None, :2], second[None, :, :2])
    ends = np.minimum(first[:, None, 2:], second[None, :, 2:])
    intersections = np.clip(ends - starts, 0, None).prod(-1)
    areas = [(part[:, 2:] - part[:, :2]).prod(-1) for part in (first, second)]
    unions = areas[0][:, None] + areas[1] - intersections
    return intersections / np.where(unions > 0, unions, 1)


def true_boxes(truth: Any, count: int) -> list[Array]:
    """For each of `count` images its boxes (M, 4) that have an area; ValueError if they do not fit."""
    if truth is None:
        raise ValueError("boxes must be of shape (N, 4), or (M, 4) for each image, got None")
    try:
        rows = [np.asarray(row, "float64") for row in truth]
    except (TypeError, ValueError):
        raise ValueError("boxes must be numbers (y0, x0, y1, x1), (N, 4) or (M, 4) for each image") from None
    if len(rows) != count:
        raise ValueError(f"boxes of {len(rows)} images do not fit maps of {count} images")
    for row in rows:
        if row.size and (row.ndim not in (1, 2) or row.shape[-1] != 4):
            raise ValueError(f"each box must be (y0, x0, y1, x1), got an array of shape {row.shape}")
    rows = [row.reshape(-1, 4) for row in rows]
    for box in np.concatenate([np.empty((0, 4)), *rows]):
        if not (box[:2] <= box[2:]).all():
            raise ValueError(f"box {tuple(box.tolist())} ends before it begins; pass (y0, x0, y1, x1)")
    return [row[(row[:, :2] < row[:, 2:]).all(axis=1)] for row in rows]


def box_masks(truth: Any, space: tuple[int, int]) -> Array:
    """Boxes, as for `best_overlaps`, as masks: bool (N, H, W), the pixels whose centers lie in a box of the image."""
    rows, columns = (np.arange(side) + 0.5 for side in space)
    masks = np.zeros((len(truth), *space), bool)
    for mask, row in zip(masks, true_boxes(truth, len(truth))):
        for y0, x0, y1, x1 in row:
            mask |= np.outer((y0 <= rows) & (rows < y1), (x0 <= columns) & (columns < x1))
    return masks


def dilate(masks: Array, radius: float) -> Array:
    """Masks, bool (N, H, W), with all pixels whose centers are within `radius` pixels of a center of the mask."""
    return np.stack([mask.any() & (ndimage.distance_transform_edt(~mask) <= radius) for mask in masks])
