"""Images in any common range as pixels; reading image files and fitting them to a model."""

import os
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike

from keras_actmaps.core.image_files import read_image
from keras_actmaps.core.image_pixels import to_8_bits
from keras_actmaps.core.types import Array

NEARLY_ONE = 1.001  # resized images in 0..1 can exceed 1 by rounding


def pixels(images: ArrayLike, bands: str | Sequence[int] = "mean") -> Array:
    """Images in any common range as uint8 RGB.

    Parameters
    ----------
    images : array of shape (N, H, W, C) or (N, C, H, W)
        uint8 is kept, floats in 0..1 are multiplied by 255, floats in 0..255 are rounded, and images of any other range
        are each stretched to 0..255; of more than three channels, floats above 1 as well. Two channels are gray and
        opacity, drawn on white.
    bands : "mean" or sequence of three int
        Of more than three channels, the mean as gray, or the channels that are drawn as red, green and blue.

    Returns
    -------
    uint8 array of shape (N, H, W, 3)

    Raises
    ------
    ValueError
        For arrays of any other shape, and bands that the images do not have.
    """
    array = np.asarray(images)
    if array.ndim == 4 and _is_channels_first(array.shape):
        array = np.moveaxis(array, 1, -1)
    if array.ndim != 4 or not array.size:
        raise ValueError(f"images of shape {array.shape} cannot be drawn; pass (N, H, W, C), such as (N, H, W, 3)")
    return pixels_of(array, bands)


def pixels_of(images: Array, bands: str | Sequence[int] = "mean", is_measured: bool = False) -> Array:
    """`pixels` of images (N, H, W, C), whose channels are known to be last.

    Floats above 1 are stretched where they are measurements, as more than three channels are, instead of brightness.
    """
    if images.shape[-1] > 3:
        images, is_measured = _choose_bands(images, bands), True
    if images.dtype != np.uint8:
        images = _to_uint8(images.astype("float32"), 1 if is_measured else 255)
    if images.shape[-1] == 2:
        gray, opacity = np.split(images.astype("float32"), 2, axis=-1)
        images = np.rint(255 + (gray - 255) * opacity / 255).astype("uint8")
    return np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images


def channel_count(images: ArrayLike) -> int:
    """The number of channels of images as `pixels` takes them."""
    shape = np.shape(images)
    return shape[1] if _is_channels_first(shape) else shape[-1]


def bands_title(count: int, bands: str | Sequence[int] = "mean") -> str:
    """What `pixels` draws of `count` channels, for a title; "" for at most three."""
    if count <= 3:
        return ""
    return f", mean of {count} bands" if isinstance(bands, str) else f", bands {', '.join(map(str, bands))} of {count}"


def check_bands(bands: str | Sequence[int], count: int) -> None:
    """ValueError for anything but "mean" and three of `count` channels."""
    if isinstance(bands, str) and bands == "mean":
        return
    chosen = list(bands) if isinstance(bands, (list, tuple, np.ndarray)) else []
    if len(chosen) != 3 or not all(isinstance(band, (int, np.integer)) and 0 <= band < count for band in chosen):
        raise ValueError(f"bands must be 'mean' or three of the channels 0..{count - 1}, got {bands!r}")


def _is_channels_first(shape: tuple[int, ...]) -> bool:
    """Whether (N, C, H, W) is meant: one or three channels there and not at the end, or fewer than pixels on a side."""
    if shape[-1] in (1, 3):
        return False
    return shape[1] in (1, 3) or (shape[-1] > 3 and shape[1] < min(shape[2:]))


def _choose_bands(images: Array, bands: str | Sequence[int]) -> Array:
    """One channel, the mean, or three of (N, H, W, C)."""
    if isinstance(bands, str) and bands == "mean":
        mean = images.mean(axis=-1, keepdims=True, dtype="float32")
        return np.rint(mean).astype("uint8") if images.dtype == np.uint8 else mean
    check_bands(bands, images.shape[-1])
    return images[..., [int(band) for band in bands]]


def _to_uint8(images: Array, limit: int) -> Array:
    """Floats as pixels; stretched where they are negative or above a limit."""
    lowest, highest = images.min(initial=0), images.max(initial=0)
    if lowest < 0 or highest > max(limit, NEARLY_ONE):
        low, high = (f(images, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
        images = (images - low) / np.where(high > low, high - low, 1)
        highest = 1
    return np.rint(np.minimum(images, 1) * 255 if highest <= NEARLY_ONE else images).astype("uint8")


def read(path: str | os.PathLike) -> Array:
    """An image file as uint8 (H, W, 1) or RGB (H, W, 3).

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it cannot be read as an image, is damaged, or has more than 50 million pixels.
    """
    return to_8_bits(read_image(path).pixels)


def fit(image: Array, shape: tuple[int, int, int]) -> Array:
    """A uint8 or uint16 image (h, w, c) at another shape: resized, gray repeated, color converted to gray.

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
