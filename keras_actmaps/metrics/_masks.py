"""Validated maps and masks for localization metrics."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.metrics._inputs import one_map_per_image

_PARTS: dict[str, Callable[[Array], Array]] = {
    "positive": lambda values: np.maximum(values, 0),
    "absolute": np.abs,
    "squared": np.square,
}


def validate_masks(explanation: Explanation, masks: Any) -> tuple[Array, Array]:
    """Maps and masks as (N, pixels), float64 and bool; ValueError if they do not fit."""
    if masks is None:
        raise ValueError("masks must be bool or 0 and 1, one per image, got None")
    maps = one_map_per_image(explanation)
    try:
        array = np.asarray(masks)
    except (TypeError, ValueError):
        raise ValueError(f"masks of different shapes do not fit maps of shape {maps.shape}") from None
    if array.shape != maps.shape:
        raise ValueError(f"masks of shape {array.shape} do not fit maps of shape {maps.shape}")
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        raise ValueError("masks contain other values than 0 and 1; data.masks returns the masks of a data set")
    return maps.reshape(len(maps), -1).astype("float64"), array.reshape(len(maps), -1).astype(bool)


def used_part(values: Array, part: str) -> Array:
    """The used part of signed values (N, pixels); a uniform 1 for rows where it is 0 everywhere."""
    used = _PARTS[part](values)
    return np.where(used.any(axis=1, keepdims=True), used, 1)


def nan_without_mask(truth: Array, values: Array) -> Array:
    """The values (N,) with NaN where a mask is empty."""
    return np.where(truth.any(axis=1), values, np.nan)
