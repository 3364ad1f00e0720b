"""tf-explain's grids as they are, and its heat maps for images of any range and maps that are the same everywhere."""

import cv2
import numpy as np
from tf_explain.utils.display import filter_display, grid_display

from keras_actmaps.tf_explain.utils.image import ROUNDING, value_range

__all__ = ["filter_display", "grid_display", "heatmap_display", "image_to_uint_255"]


def image_to_uint_255(image) -> np.ndarray:
    """An image as uint8: uint8 stays, floats in 0..1, -1..1 or 0..255 as they are, other ranges stretched."""
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return image
    low, high = value_range(image)
    return ((image - low) * (255 / (high - low))).astype("uint8")


def heatmap_display(heatmap, original_image, colormap=cv2.COLORMAP_VIRIDIS, image_weight=0.7) -> np.ndarray:
    """A map (h,w) over an image (H,W,1 or 3), uint8 RGB (H,W,3): image_weight * image + the map's colours.

    The map is enlarged and goes from its lowest to its highest value; one that is the same everywhere is all lowest.
    """
    image = image_to_uint_255(original_image)
    is_constant = np.ptp(heatmap) <= ROUNDING * np.abs(heatmap).max()
    heatmap = cv2.resize(heatmap, image.shape[1::-1])
    heatmap = heatmap - heatmap.min()
    grey = (heatmap / (heatmap.max() or 1) * (0 if is_constant else 255)).astype("uint8")
    colours = cv2.applyColorMap(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), colormap)
    image = np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image
    over = cv2.addWeighted(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), image_weight, colours, 1, 0)
    return cv2.cvtColor(over, cv2.COLOR_BGR2RGB)
