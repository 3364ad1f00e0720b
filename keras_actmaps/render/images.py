"""Images of any usual range as pixels; image files read and fitted."""

import os
from pathlib import Path

import cv2
import numpy as np


def pixels(images) -> np.ndarray:
    """Images of any usual range, (N,H,W,1 or 3) or channels first, -> uint8 RGB (N,H,W,3).

    uint8 stays; floats in 0..1 are scaled by 255, in 0..255 rounded, any other range is stretched, image by image.
    """
    images = np.asarray(images)
    if images.ndim == 4 and images.shape[-1] not in (1, 3) and images.shape[1] in (1, 3):
        images = np.moveaxis(images, 1, -1)
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(f"images of shape {images.shape} cannot be drawn; give (N,H,W,1) or (N,H,W,3)")
    if images.dtype != np.uint8:
        images = images.astype("float32")
        lowest, highest = images.min(initial=0), images.max(initial=0)
        if lowest < 0 or highest > 255:
            low, high = (f(images, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
            images = (images - low) / np.where(high > low, high - low, 1)
            highest = 1
        images = np.rint(images * (255 if highest <= 1 else 1)).astype("uint8")
    return np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images


def read(path: str | os.PathLike) -> np.ndarray:
    """An image file -> uint8 (H,W,1) or RGB (H,W,3). FileNotFoundError, or ValueError for what is no image."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no image file {str(path)!r}")
    encoded = np.frombuffer(path.read_bytes(), "uint8")
    image = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) if encoded.size else None
    if image is None:
        raise ValueError(f"{str(path)!r} is no image that can be read")
    if image.dtype != np.uint8:
        image = (image / np.iinfo(image.dtype).max * 255).round().astype("uint8")
    if image.ndim == 2:
        return image[..., None]
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGB if image.shape[-1] == 4 else cv2.COLOR_BGR2RGB)


def fit(image: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """uint8 (h,w,c) -> (H,W,C): resized, grey repeated or colour turned to grey. ValueError for other channels."""
    height, width, channels = shape
    if image.shape[-1] != channels:
        if {image.shape[-1], channels} != {1, 3}:
            raise ValueError(f"an image of {image.shape[-1]} channels cannot be turned into {channels}")
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB if channels == 3 else cv2.COLOR_RGB2GRAY)
    if image.shape[:2] != (height, width):
        shrinks = height * width < image.shape[0] * image.shape[1]
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return image.reshape(shape)
