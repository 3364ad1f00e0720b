"""The geometry of photographs in every data set: the shorter side resized, the center cropped."""

import cv2
import tensorflow as tf

from keras_actmaps.core.image_pixels import to_channels, to_float
from keras_actmaps.core.types import Array

LARGE = 12_000_000  # pixels of photographs that are reduced before they are resized, which needs 4 bytes per value
REDUCED = 4  # times the size of the model at least


def fit_center(image: tf.Tensor, size: int) -> tf.Tensor:
    """An image (H, W, C) as float32 (size, size, C): the shorter side resized to `size`, the center cropped."""
    height, width = tf.unstack(tf.shape(image)[:2])
    shorter = tf.minimum(height, width)
    new_height, new_width = size * height // shorter, size * width // shorter
    top, left = (new_height - size) // 2, (new_width - size) // 2
    resized = tf.image.resize(image, (new_height, new_width), antialias=True)
    return tf.cast(resized[top : top + size, left : left + size], tf.float32)


def fit_photo(pixels: Array, size: int, channels: int) -> Array:
    """The pixels of an image file as the pipelines of data sets have them.

    Parameters
    ----------
    pixels : uint8 or uint16 array of shape (H, W, 1 or 3)
    size, channels : int
        Of the images of the data set.

    Returns
    -------
    float32 array of shape (size, size, channels)
        In 0..255, whole numbers for uint8.
    """
    prepared = prepare(pixels, size, channels)
    fitted = fit_center(prepared, size)
    return (tf.round(fitted) if pixels.dtype == "uint8" else fitted).numpy()


def prepare(pixels: Array, size: int, channels: int) -> Array:
    """Pixels for `fit_center`, which needs memory for floats: not of much more than a model of this size shows.

    The ends of a long strip are removed, and a large photograph is averaged over squares. 16 bits become float32.
    """
    pixels = _reduced(to_channels(_without_ends(pixels), channels), size)
    return pixels if pixels.dtype == "uint8" else to_float(pixels)


def _without_ends(pixels: Array) -> Array:
    """The center of a long strip, which would take much memory after resizing its shorter side."""
    height, width = pixels.shape[:2]
    most = 4 * min(height, width)
    top, left = max(0, (height - most) // 2), max(0, (width - most) // 2)
    return pixels[top : top + most, left : left + most]


def _reduced(pixels: Array, size: int) -> Array:
    """A large photograph averaged over squares of pixels."""
    height, width, channels = pixels.shape
    factor = min(height, width) // (REDUCED * size)
    if height * width <= LARGE or factor < 2:
        return pixels
    new_height, new_width = height // factor, width // factor
    top, left = (height - factor * new_height) // 2, (width - factor * new_width) // 2
    inside = pixels[top : top + factor * new_height, left : left + factor * new_width]
    return cv2.resize(inside, (new_width, new_height), interpolation=cv2.INTER_AREA).reshape(
        new_height, new_width, channels
    )
