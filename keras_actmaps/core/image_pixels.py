"""Decoded images as arrays of pixels: gray or RGB of 8 or 16 bits, in little memory."""

from typing import IO

import cv2
import numpy as np
from PIL import Image

from keras_actmaps.core.types import Array

GRAY = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"}
DEEP = {"I", "I;16", "I;16B", "I;16L", "I;16N"}
_STRIP = 4_000_000  # pixels that are converted at a time
_LUMA = np.array([19595, 38470, 7471], "uint32")  # of ITU-R 601 in 1/65536, as in Pillow


def is_deep(image: Image.Image) -> bool:
    """Whether an image, not yet decoded, has 16 bits per channel."""
    return image.mode in DEEP or is_deep_color(image)


def is_deep_color(image: Image.Image) -> bool:
    """Whether an image, not yet decoded, has 16 bits in each of several channels, which Pillow reduces to 8."""
    return image.mode in {"RGB", "RGBA", "LA"} and ";16" in _raw_mode(image)


def channel_count(image: Image.Image) -> int:
    """1 for an image that is gray, not yet decoded, and 3 for one with colors."""
    return 1 if image.mode in GRAY or _raw_mode(image).startswith("LA") else 3


def _raw_mode(image: Image.Image) -> str:
    """Pillow's name of the order and size of the channels in the file, such as RGB;16B; empty if it has none."""
    tiles = getattr(image, "tile", [])
    arguments = tiles[0][3] if tiles else ""
    name = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return name if isinstance(name, str) else ""


def decode_deep_color(file: IO[bytes], channels: int) -> Array | None:
    """An image of 16 bits in several channels as (H, W, 1 or 3); None if it cannot be decoded."""
    file.seek(0)
    try:
        pixels = cv2.imdecode(np.frombuffer(file.read(), "uint8"), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        return None
    return pixels[..., 2::-1] if channels == 3 else pixels[..., :1]  # OpenCV's order is BGR


def to_array(image: Image.Image) -> Array:
    """Decoded pixels of any mode as gray or RGB, uint8 or uint16.

    They are converted strip by strip, since each conversion copies all of its argument.
    """
    rows = max(1, _STRIP // image.width)
    pixels = np.empty(
        (image.height, image.width, 1 if image.mode in GRAY else 3), "uint16" if image.mode in DEEP else "uint8"
    )
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        pixels[top : top + rows] = _convert(strip).reshape(strip.height, strip.width, -1)
    return pixels


def _convert(image: Image.Image) -> Array:
    if image.mode == "F":
        return np.rint(np.clip(np.nan_to_num(np.asarray(image)), 0, 1) * 255)
    if image.mode in DEEP:
        return np.clip(np.asarray(image), 0, 65535)
    if image.mode in {"La", "RGBa"}:
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    if image.mode in {"P", "PA"}:
        image = image.convert("RGBA")
    return np.asarray(image.convert("L" if image.mode in GRAY else "RGB"))


def upright(pixels: Array, orientation: int) -> Array:
    """The pixels of an image whose EXIF data has this orientation, 1 to 8."""
    turned = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned)


def to_channels(pixels: Array, channels: int) -> Array:
    """Pixels (H, W, 1 or 3) as gray or RGB."""
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=-1)
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
    return ((pixels @ _LUMA + 0x8000) >> 16).astype("uint16")[..., None]


def to_8_bits(pixels: Array) -> Array:
    """Pixels of 8 or 16 bits as uint8."""
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels / np.float32(257)).astype("uint8")


def to_float(pixels: Array) -> Array:
    """Pixels of 8 or 16 bits as float32 in 0..255."""
    values = pixels.astype("float32")
    return values / np.float32(257) if pixels.dtype == np.uint16 else values
