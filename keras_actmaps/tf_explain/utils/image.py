"""tf-explain's gray patch, and its gray pictures of gradients, without integer overflow."""

from typing import Any

import numpy as np
from keras import ops
from tf_explain.utils.image import apply_grey_patch

from keras_actmaps.core.types import Tensor

__all__ = ["apply_grey_patch", "transform_to_normalized_grayscale", "value_range"]

ROUNDING = 1e-6  # relative to the largest magnitude; smaller differences are rounding errors


def transform_to_normalized_grayscale(tensor: Any, together: bool = False) -> Tensor:
    """Attributions as gray pictures: 255 * (m - mean(m)) / std(m), clipped to 0..255, of the sum m over channels.

    Parameters
    ----------
    tensor : tensor of shape (N, H, W, C)
    together : bool
        Whether mean and standard deviation are those of all pictures, and the deviation at least 1 / sqrt(N H W), as
        in tf-explain, instead of those of each picture.

    Returns
    -------
    uint8 tensor of shape (N, H, W)
        A constant picture is black.
    """
    summed = ops.convert_to_numpy(tensor).sum(axis=-1, dtype="float64")
    axes = None if together else (1, 2)
    deviation = summed.std(axis=axes, keepdims=True)
    if together:
        deviation = np.maximum(deviation, 1 / np.sqrt(summed.size))
    else:
        largest = np.abs(summed).max(axis=axes, keepdims=True)
        deviation = np.where(deviation > ROUNDING * largest, deviation, np.inf)
    standardized = (summed - summed.mean(axis=axes, keepdims=True)) / deviation
    return ops.convert_to_tensor(np.clip(255 * standardized, 0, 255).astype("uint8"))


def value_range(images: Any) -> tuple[float, float]:
    """The lowest and highest value that such images can have: 0..255, 0..1, -1..1, or their own."""
    images = np.asarray(images)
    low, high = float(images.min()), float(images.max())
    if images.dtype == np.uint8:
        return 0.0, 255.0
    if low >= -1 and high <= 1:
        return (0.0 if low >= 0 else -1.0), 1.0
    if low >= 0 and high <= 255:
        return 0.0, 255.0
    return low, max(high, low + 1)
