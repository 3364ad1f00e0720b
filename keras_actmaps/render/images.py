"""Images in any common range as pixels; reading image files and fitting them to a model."""

import os

import cv2
import numpy as np
from numpy.typing import ArrayLike

from keras_actmaps.core.image_files import read_image
from keras_actmaps.core.types import Array


def pixels(images: ArrayLike) -> Array:
    """Images in any common range as uint8 RGB.

    Parameters
    ----------
    images : array of shape (N, H, W, 1 or 3) or (N, 1 or 3, H, W)
        uint8 is kept, floats in 0..1 are multiplied by 255, floats in 0..255 are rounded, and images of any other range
        are each stretched to 0..255.

    Returns
    -------
    uint8 array of shape (N, H, W, 3)

    Raises
    ------
    ValueError
        For arrays of any other shape.
    """
    array = np.asarray(images)
    if array.ndim == 4 and array.shape[-1] not in (1, 3) and array.shape[1] in (1, 3):
        array = np.moveaxis(array, 1, -1)
    if array.ndim != 4 or array.shape[-1] not in (1, 3):
        raise ValueError(f"images of shape {array.shape} cannot be drawn; pass (N, H, W, 1) or (N, H, W, 3)")
    if array.dtype != np.uint8:
        array = _to_uint8(array.astype("float32"))
    return np.repeat(array, 3, axis=-1) if array.shape[-1] == 1 else array


def _to_uint8(images: Array) -> Array:
    lowest, highest = images.min(initial=0), images.max(initial=0)
    if lowest < 0 or highest > 255:
        low, high = (f(images, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
        images = (images - low) / np.where(high > low, high - low, 1)
        highest = 1
    return np.rint(images * (255 if highest <= 1 else 1)).astype("uint8")


def read(path: str | os.PathLike) -> Array:
    """An image file as uint8 (H, W, 1) or RGB (H, W, 3).

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it cannot be read as an image, is damaged, or has more than 50 million pixels.
    """
    return read_image(path).pixels


def fit(image: Array, shape: tuple[int, int, int]) -> Array:
    """A uint8 image (h, w, c) at another shape: resized, gray repeated, color converted to gray.

    Raises
    ------
    ValueError
        For other channels than one and three.
    """
    height, width, channels = shape
    if image.shape[-1] != channels:
        if {image.shape[-1], channels} != {1, 3}:
            raise ValueError(f"an image of {image.shape[-1]} channels cannot be converted to {channels}")
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB if channels == 3 else cv2.COLOR_RGB2GRAY)
    if image.shape[:2] != (height, width):
        shrinks = height * width < image.shape[0] * image.shape[1]
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return image.reshape(shape)
