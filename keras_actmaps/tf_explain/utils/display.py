"""tf-explain's grids, and its heat maps for images of any range and for constant maps."""

from typing import Any

import cv2
import numpy as np
from tf_explain.utils.display import filter_display, grid_display

from keras_actmaps.core.types import Array
from keras_actmaps.tf_explain.utils.image import ROUNDING, value_range

__all__ = ["filter_display", "grid_display", "heatmap_display", "image_to_uint_255"]


def image_to_uint_255(image: Any) -> Array:
    """An image as uint8: floats in 0..1, -1..1 or 0..255 keep their meaning, other ranges are stretched."""
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return image
    low, high = value_range(image)
    return ((image - low) * (255 / (high - low))).astype("uint8")


def heatmap_display(
    heatmap: Array, original_image: Any, colormap: int = cv2.COLORMAP_VIRIDIS, image_weight: float = 0.7
) -> Array:
    """A map over an image: image_weight * image + the map's colors.

    Parameters
    ----------
    heatmap : array of shape (h, w)
        Resized to the image and drawn from its lowest to its highest value; a constant map in the lowest color.
    original_image : array of shape (H, W, 1) or (H, W, 3)
    colormap : int
        Of OpenCV.
    image_weight : float

    Returns
    -------
    uint8 array of shape (H, W, 3), RGB
    """
    image = image_to_uint_255(original_image)
    is_constant = np.ptp(heatmap) <= ROUNDING * np.abs(heatmap).max()
    resized = cv2.resize(heatmap, image.shape[1::-1])
    resized = resized - resized.min()
    gray = (resized / (resized.max() or 1) * (0 if is_constant else 255)).astype("uint8")
    colors = cv2.applyColorMap(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR), colormap)
    rgb = np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image
    blended = cv2.addWeighted(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), image_weight, colors, 1, 0)
    return cv2.cvtColor(blended, cv2.COLOR_BGR2RGB)
