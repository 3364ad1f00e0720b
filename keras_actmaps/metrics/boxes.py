"""Boxes from maps: the connected parts above a threshold; how well boxes meet; boxes as masks."""

from collections.abc import Sequence

import cv2
import numpy as np

from keras_actmaps.core.explanation import Explanation, maps_of_one_target

Box = tuple[int, int, int, int, float]
THRESHOLDS = tuple(np.arange(100) / 100)  # that are tried where the best is looked for


def boxes(explanation: Explanation, threshold: float | str = 0.15, largest: bool = True) -> list[list[Box]]:
    """Boxes around what speaks for the target (Selvaraju et al. 2017, section 4.1).

    They enclose the parts, connected by sides or corners, where map > threshold * max(map). Maps (N,H,W).

    threshold: a fraction of each map's maximum (0.15 in the paper), from 0 to below 1; or "otsu", the level among 256
        that parts 0 to the maximum in two with the least variance in each (Otsu 1979). `best_threshold` finds a
        fraction on a validation set.
    largest: the part of the most pixels only; False: all of them, the largest first.

    Returns for each image a list of (y0, x0, y1, x1, score): pixels, half open, and the share of the map's positive
    values that lies in the part. A map with nothing positive has no box. ValueError for another threshold and for maps
    that are no (N,H,W).
    """
    check_threshold(threshold)
    found = []
    for values in _positive(explanation):
        labels, sides, order = _parts(values, _cut(values, threshold))
        shares = np.bincount(labels.ravel(), values.ravel()) / (values.sum(dtype="float64") or 1)
        found.append([(*sides[part], float(shares[part])) for part in order[: 1 if largest else None]])
    return found


def best_threshold(
    explanation: Explanation, truth, iou: float = 0.5, thresholds: Sequence[float] = THRESHOLDS, largest: bool = True
) -> float:
    """The fraction at which most images of a validation set have a box that meets a true one (Choe et al. 2020).

    argmax_t |{n: IoU_n(t) >= iou}|, the least such t. truth: as for `best_overlaps`.
    """
    overlaps = best_overlaps(explanation, truth, thresholds, largest)
    return float(thresholds[int(np.argmax((overlaps >= iou).sum(1)))])


def best_overlaps(explanation: Explanation, truth, thresholds: Sequence[float], largest: bool) -> np.ndarray:
    """(T,N): at each threshold the highest IoU between a box of the map and a true box; 0 where the map has none.

    truth: boxes (y0, x0, y1, x1) in pixels, half open: (N,4), or for each image (M,4); one without an area, as (0, 0,
    0, 0), is none. NaN for an image that has none. ValueError for boxes that do not fit.
    """
    for threshold in thresholds:
        check_threshold(threshold)
    values = _positive(explanation)
    overlaps = np.full((len(thresholds), len(values)), np.nan)
    for number, (one, true) in enumerate(zip(values, true_boxes(truth, len(values)))):
        if len(true):
            for row, threshold in enumerate(thresholds):
                _, sides, order = _parts(one, _cut(one, threshold))
                found = [sides[part] for part in order[: 1 if largest else None]]
                overlaps[row, number] = iou_of(found, true).max(initial=0)
    return overlaps


def iou_of(some, others) -> np.ndarray:
    """Boxes (A,4) and (B,4) -> (A,B): the area of their intersection by that of their union."""
    some, others = (np.reshape(np.asarray(part, "float64"), (-1, 4)) for part in (some, others))
    starts = np.maximum(some[:, None, :2], others[None, :, :2])
    ends = np.minimum(some[:, None, 2:], others[None, :, 2:])
    both = np.clip(ends - starts, 0, None).prod(-1)
    areas = [(part[:, 2:] - part[:, :2]).prod(-1) for part in (some, others)]
    union = areas[0][:, None] + areas[1] - both
    return both / np.where(union > 0, union, 1)


def true_boxes(truth, count: int) -> list[np.ndarray]:
    """For each of `count` images its boxes (M,4) that have an area; ValueError where they do not fit."""
    if truth is None:
        raise ValueError("no true boxes were given; this needs (N,4), or (M,4) for each image")
    if len(truth) != count:
        raise ValueError(f"true boxes of {len(truth)} images do not fit maps of {count}")
    rows = [np.asarray(row, "float64") for row in truth]
    for row in rows:
        if row.size and row.shape[-1] != 4:
            raise ValueError(f"true boxes of shape {row.shape}; give (y0, x0, y1, x1) for each")
    rows = [row.reshape(-1, 4) for row in rows]
    for box in np.concatenate([np.empty((0, 4)), *rows]):
        if not (box[:2] <= box[2:]).all():
            raise ValueError(f"box {tuple(box.tolist())} ends before it begins; give (y0, x0, y1, x1)")
    return [row[(row[:, :2] < row[:, 2:]).all(axis=1)] for row in rows]


def box_masks(truth, space: tuple[int, int]) -> np.ndarray:
    """Boxes, as for `best_overlaps`, -> bool (N,H,W): the pixels whose centres lie in a box of the image."""
    masks = np.zeros((len(truth), *space), bool)
    rows, columns = (np.arange(side) + 0.5 for side in space)
    for mask, row in zip(masks, true_boxes(truth, len(truth))):
        for y0, x0, y1, x1 in row:
            mask |= np.outer((y0 <= rows) & (rows < y1), (x0 <= columns) & (columns < x1))
    return masks


def widened(masks: np.ndarray, reach: float) -> np.ndarray:
    """bool (N,H,W) with all pixels whose centres are within `reach` pixels of those of the mask."""
    offsets = np.arange(-int(reach), int(reach) + 1)
    disk = (np.hypot(offsets[:, None], offsets) <= reach).astype("uint8")
    return np.stack([cv2.dilate(mask.astype("uint8"), disk, borderValue=0) for mask in masks]).astype(bool)


def check_threshold(threshold) -> None:
    """ValueError for a threshold that is neither "otsu" nor a fraction."""
    is_number = isinstance(threshold, (int, float, np.number)) and not isinstance(threshold, bool)
    if threshold != "otsu" and not (is_number and 0 <= threshold < 1):
        raise ValueError(f"no threshold {threshold!r}; give a fraction of the maximum, 0 to below 1, or 'otsu'")


def _positive(explanation: Explanation) -> np.ndarray:
    maps = maps_of_one_target(explanation)
    if maps.ndim != 3:
        raise ValueError(f"boxes need maps (N,H,W), not {maps.shape}")
    return np.maximum(maps.astype("float32", copy=False), 0)


def _cut(values: np.ndarray, threshold: float | str) -> np.float32:
    """The value above which a pixel belongs to a part."""
    highest = values.max()
    if threshold != "otsu" or not highest:
        return np.float32(0 if threshold == "otsu" else threshold) * highest
    levels = np.rint(values / highest * 255).astype("uint8")
    level, _ = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return np.float32((level + 0.5) / 255) * highest


def _parts(values: np.ndarray, cut: np.float32) -> tuple[np.ndarray, list[tuple], np.ndarray]:
    """The number of each pixel's part, 0 outside; each part's (y0, x0, y1, x1); the parts, the largest first."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((values > cut).astype("uint8"), connectivity=8)
    sides = [(top, left, top + height, left + width) for left, top, width, height, _ in stats.tolist()]
    return labels, sides, 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")
