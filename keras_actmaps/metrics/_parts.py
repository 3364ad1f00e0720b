"""The parts of maps above a threshold, in series, images and volumes."""

import cv2
import numpy as np
from scipy import ndimage

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.metrics._inputs import one_map_per_image


def positive_part(explanation: Explanation) -> Array:
    """max(map, 0) as float32 (N, T), (N, H, W) or (N, D, H, W)."""
    maps = one_map_per_image(explanation)
    if maps.ndim not in (2, 3, 4):
        raise ValueError(f"boxes and masks need maps (N, T), (N, H, W) or (N, D, H, W), got {maps.shape}")
    return np.maximum(maps.astype("float32", copy=False), 0)


def cut_level(values: Array, threshold: float | str) -> np.float32:
    """The value above which a pixel belongs to a part."""
    highest = values.max()
    if not isinstance(threshold, str):
        return np.float32(threshold) * highest
    if not highest:
        return np.float32(0)
    levels = np.rint(values / highest * 255).astype("uint8").reshape(len(values), -1)
    level, _ = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return np.float32((level + 0.5) / 255) * highest


def parts_of(values: Array, cut: np.float32) -> tuple[Array, list[tuple], Array]:
    """Labels of the pixels, 0 for none; the box (*starts, *ends) of each label; the labels by size, descending."""
    inside = values > cut
    if values.ndim == 2:
        _, labels, stats, _ = cv2.connectedComponentsWithStats(inside.astype("uint8"), connectivity=8)
        sides: list[tuple] = [(top, left, top + height, left + width) for left, top, width, height, _ in stats.tolist()]
        return labels, sides, 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")
    labels, _ = ndimage.label(inside, np.ones((3,) * values.ndim))
    found = ndimage.find_objects(labels)
    sides = [(), *((*(side.start for side in part), *(side.stop for side in part)) for part in found)]
    return labels, sides, 1 + np.argsort(-np.bincount(labels.ravel())[1:], kind="stable")
