"""Localisation: does the map lie where the thing is? Against masks (N,H,W), bool or 0 and 1, or boxes.

What each uses of a signed map is said in its docstring; where the positive part is used, all else counts as 0. An image
whose mask is empty, or which has no box, is left out: its value is NaN, `numpy.isnan(values).sum()` counts such images
and `numpy.nanmean(values)` is the mean of the others. A map that is constant where it is used has no places, and gets
what a random map gets on average: the mask's share of the image. `data.masks` and `data.boxes` turn what a data set
knows into masks and boxes, `localize.box_masks` boxes into masks. Raises ValueError, in one line, where masks or boxes
are missing, are no masks, or do not fit the maps.
"""

import numpy as np

from keras_actmaps.core.explanation import Explanation, maps_of_one_target
from keras_actmaps.metrics.boxes import THRESHOLDS, best_overlaps, check_threshold, iou_of, true_boxes, widened
from keras_actmaps.metrics.boxes import boxes as boxes_of
from keras_actmaps.metrics.ranks import in_top
from keras_actmaps.metrics.registry import higher_is_better, of_set

LEVELS = 1000  # of a map, as in the program of the paper of pixel_average_precision
PARTS = {"positive": lambda values: np.maximum(values, 0), "absolute": np.abs, "squared": np.square}


@higher_is_better
def pointing_game(explanation: Explanation, masks, *, tolerance: float = 0) -> np.ndarray:
    """Whether the map's highest pixel lies in the mask (the pointing game of Zhang et al. 2018): 1 or 0.

    Of the map with its signs. Where several pixels are the highest: the share of them that lies there.

    tolerance: pixels; within this distance of the mask counts too. 15 in the paper, for photographs of some 500 pixels;
        maps (N,H,W) only. Explanation, (N,H,W) -> (N,).
    """
    if not 0 <= tolerance < np.inf:
        raise ValueError(f"tolerance={tolerance} is no distance; give pixels from 0 up")
    values, truth = _paired(explanation, masks)
    shape = explanation.maps.shape
    if tolerance and len(shape) != 3:
        raise ValueError(f"tolerance={tolerance} needs maps (N,H,W), not {shape}")
    near = widened(truth.reshape(shape), tolerance).reshape(truth.shape) if tolerance else truth
    highest = values == values.max(axis=1, keepdims=True)
    return _with_truth(truth, (highest & near).sum(1) / highest.sum(1))


@higher_is_better
def energy_pointing(explanation: Explanation, masks) -> np.ndarray:
    """The share of the map's positive part that lies in the mask (Wang et al. 2020, section 4.3), 0 to 1.

    sum_(p in mask) L_p / sum_p L_p with L = max(map, 0). Explanation, (N,H,W) -> (N,). For the paper's boxes give
    `localize.box_masks(boxes, (H, W))`.
    """
    return mass_accuracy(explanation, masks, part="positive")


@higher_is_better
def mass_accuracy(explanation: Explanation, masks, *, part: str = "positive") -> np.ndarray:
    """The share of the map's mass that lies in the mask (relevance mass accuracy, Arras et al. 2022), 0 to 1.

    sum_(p in mask) R_p / sum_p R_p. Explanation, (N,H,W) -> (N,).

    part: what R is of the map, which has one value a pixel: "positive", max(map, 0), which is `energy_pointing`;
        "absolute"; or "squared", which lets the strongest pixels decide.
    """
    values, truth = _paired(explanation, masks)
    mass = _part(values, part)
    return _with_truth(truth, (mass * truth).sum(1) / mass.sum(1))


@higher_is_better
def rank_accuracy(explanation: Explanation, masks, *, part: str = "positive") -> np.ndarray:
    """The share of the K strongest pixels that lies in the mask of K pixels, 0 to 1.

    |top_K(R) and mask| / K (relevance rank accuracy, Arras et al. 2022). Equal pixels, of which some are among the K,
    have equal parts in them.
    Explanation, (N,H,W) -> (N,). part: as for `mass_accuracy`.
    """
    values, truth = _paired(explanation, masks)
    count = truth.sum(1)
    inside = (in_top(_part(values, part), np.maximum(count, 1)) * truth).sum(1)
    return _with_truth(truth, inside / np.maximum(count, 1))


def _precision(counts: np.ndarray, **_) -> np.ndarray:
    """(N,) from (N,2,levels): the pixels of each level in the mask, and all of them."""
    inside = counts[:, 0].astype("float64")
    above = counts[..., ::-1].sum(0, dtype="int64").cumsum(1)[:, ::-1]
    precision = above[0] / np.maximum(above[1], 1)
    known = inside.any(axis=1)
    shares = (inside * precision).sum(1) * known.sum() / max(inside.sum(), 1)
    return np.where(known, shares, np.nan)


@higher_is_better
@of_set(_precision)
def pixel_average_precision(explanation: Explanation, masks) -> np.ndarray:
    """PxAP, each image's part in it (Choe et al. 2020): its mean over the images is that of the set.

    PxAP = sum_t precision(t) (recall(t) - recall(t-)), over all pixels of all images at once and the thresholds t =
    0, 0.001, ..., 1 of each map's positive part divided by its maximum. Image n's part is the precision at its mask's
    pixels, summed over these, by the mean size of a mask; above 1 where its mask is large. Give all images of the set
    at once. The paper stretches each map from its minimum. Explanation, (N,H,W) -> (N,).
    """
    values, truth = _paired(explanation, masks)
    mass = _part(values, "positive")
    levels = (mass / mass.max(axis=1, keepdims=True) * LEVELS).astype(int)
    counts = [[np.bincount(row[kept], minlength=LEVELS + 1) for kept in (true, slice(None))]
              for row, true in zip(levels, truth)]  # fmt: skip
    return np.array(counts, "uint32") * truth.any(axis=1)[:, None, None]


@higher_is_better
def box_iou(explanation: Explanation, boxes, *, threshold: float | str = 0.15, largest: bool = True) -> np.ndarray:
    """The area that the map's box and the true box share, by that which they cover (Everingham et al. 2010), 0 to 1.

    |A and B| / |A or B|, the highest of all pairs where there are several; 0 where the map has no box.
    Explanation, boxes (N,4) or for each image (M,4) of (y0, x0, y1, x1), pixels, half open -> (N,).

    threshold, largest: as for `kam.boxes`, which uses the positive part.
    """
    found = boxes_of(explanation, threshold, largest)
    pairs = zip(found, true_boxes(boxes, len(found)))
    return np.array([iou_of([box[:4] for box in some], true).max(initial=0) if len(true) else np.nan
                     for some, true in pairs])  # fmt: skip


def _accuracy(overlaps: np.ndarray, *, levels, **_) -> np.ndarray:
    """(N,) from the overlaps (N,T) at each threshold."""
    hits = np.stack([level <= overlaps.T for level in levels])
    best = hits.sum(2).argmax(1)
    shares = hits[np.arange(len(levels)), best].mean(0)
    return np.where(np.isnan(overlaps[:, 0]), np.nan, shares)


@higher_is_better
@of_set(_accuracy)
def max_box_accuracy(
    explanation: Explanation, boxes, *, levels=(0.3, 0.5, 0.7), thresholds=THRESHOLDS, largest: bool = False
) -> np.ndarray:
    """MaxBoxAccV2 (Choe et al. 2020): the share of the levels at which a box of the map meets a true one, 0 to 1.

    mean_d [IoU_n(t_d) >= d], where t_d is the map threshold at which most images of the set do so; the mean over the
    images is that of the paper. Give all images of the set at once. Explanation, boxes as for `box_iou` -> (N,).

    levels: of the IoU. thresholds: fractions of the maximum that are tried. largest: False takes the best of all parts
        of the map; `levels=(0.5,), largest=True` is the paper's first version. The paper's program measures a part by
        the area in its outline, here by its pixels.
    """
    for level in levels:
        check_threshold(level)
    return best_overlaps(explanation, boxes, thresholds, largest).T


def _paired(explanation: Explanation, masks) -> tuple[np.ndarray, np.ndarray]:
    """Maps and masks as (N,pixels), float64 and bool; ValueError where they do not fit."""
    if masks is None:
        raise ValueError("no masks were given; this metric needs them, bool or 0 and 1, one an image")
    maps, masks = maps_of_one_target(explanation), np.asarray(masks)
    if masks.shape != maps.shape:
        raise ValueError(f"masks of shape {masks.shape} do not fit maps of shape {maps.shape}")
    if not np.isin(masks, (0, 1)).all():
        raise ValueError("masks hold other values than 0 and 1; data.masks turns a data set's truth into masks")
    return maps.reshape(len(maps), -1).astype("float64"), masks.reshape(len(maps), -1).astype(bool)


def _part(values: np.ndarray, part: str) -> np.ndarray:
    """What is used of signed values (N,pixels); 1 everywhere where all of it is 0."""
    if part not in PARTS:
        raise ValueError(f"no part {part!r} of a map; there are: {', '.join(PARTS)}")
    used = PARTS[part](values)
    return np.where(used.any(axis=1, keepdims=True), used, 1)


def _with_truth(truth: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where(truth.any(axis=1), values, np.nan)
