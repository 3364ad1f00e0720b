"""Image files as arrays of pixels: any common format and mode, or one error that says what is wrong with the file."""

import io
import os
import re
import stat
import warnings
from pathlib import Path
from typing import IO, NamedTuple

from PIL import Image, UnidentifiedImageError

from keras_actmaps.core.image_pixels import channel_count, decode_deep_color, is_deep, is_deep_color, to_array, upright
from keras_actmaps.core.types import Array

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")  # none that starts another program, as EPS does
MOST_PIXELS = 50_000_000


class Header(NamedTuple):
    """What a file says about its image before it is decoded: size as displayed, channels (1 or 3), and bits of each."""

    height: int
    width: int
    channels: int
    bits: int


class ImageFile(NamedTuple):
    """An image.

    Attributes
    ----------
    pixels : uint8 or uint16 array of shape (H, W, 1 or 3)
        Gray or RGB, upright; of an animation, the first frame. uint16 if the file has 16 bits per channel.
    remarks : tuple of str
        What is not in the pixels: further frames, transparency, another orientation in the file.
    """

    pixels: Array
    remarks: tuple[str, ...]


def read_header(path: str | os.PathLike) -> Header:
    """The size of an image, without decoding it; raises as `read_image` does."""
    with _opened(path) as file, _identified(path, file) as image:
        width, height = image.size
        channels, bits = channel_count(image), 16 if is_deep(image) else 8
        turned = _orientation(image) >= 5  # which may decode the image
        sides = (width, height) if turned else (height, width)
        return Header(*sides, channels, bits)


def read_image(path: str | os.PathLike) -> ImageFile:
    """Read an image file.

    Palettes and CMYK are converted, transparency is ignored, and the orientation in the EXIF data is applied.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not an image in a supported format, is damaged, or has more than 50 million pixels; half as many with
        16 bits in each of several channels.
    """
    with _opened(path) as file:
        return _decoded(path, file)


def decode_image(content: bytes, name: str, most_pixels: int = MOST_PIXELS) -> ImageFile:
    """The image in the content of a file, such as an upload, whose name appears in messages only.

    Raises ValueError as `read_image` does, and for more than `most_pixels` pixels.
    """
    if not content:
        raise ValueError(f"{name!r} is empty")
    return _decoded(name, io.BytesIO(content), most_pixels)


def _decoded(path: str | os.PathLike, file: IO[bytes], most_pixels: int = MOST_PIXELS) -> ImageFile:
    """The image in an open file."""
    with _identified(path, file, most_pixels) as image:
        remarks = []
        if getattr(image, "is_animated", False):
            remarks.append("the first of several frames")
        if image.mode in {"LA", "La", "RGBA", "RGBa", "PA"} or "transparency" in image.info:
            remarks.append("transparency ignored")
        has_deep_color, channels = is_deep_color(image), channel_count(image)
        try:
            image.load()
        except Exception as error:  # decoders raise many types for damaged data
            raise ValueError(f"{str(path)!r} is damaged: {_reason(error)}") from error
        orientation, pixels = _orientation(image), None
        if has_deep_color:
            pixels = decode_deep_color(file, channels)
        if pixels is None:
            pixels = to_array(image)
        if orientation > 1:
            remarks.append("turned upright, as its EXIF data says")
        return ImageFile(upright(pixels, orientation), tuple(remarks))


def obstacle(path: Path) -> str:
    """Why a file of a folder is no image, by its name and kind: "hidden", "a folder" ...; empty if it may be one."""
    if path.name.startswith("."):
        return "hidden"
    try:
        return _obstacle(path.stat())
    except OSError as error:
        return "a dangling link" if isinstance(error, FileNotFoundError) else str(error.strerror)


def _opened(path: str | os.PathLike) -> IO[bytes]:
    """A regular file, opened without waiting for the writer of a named pipe."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(Path(path).expanduser(), flags)
    except FileNotFoundError:
        raise FileNotFoundError(f"no image file {str(path)!r}") from None
    except (OSError, ValueError) as error:  # ValueError for a null character
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"{str(path)!r} cannot be opened: {reason}") from error
    kind = _obstacle(os.fstat(descriptor))
    if kind:
        os.close(descriptor)
        raise ValueError(f"no image file {str(path)!r}: it is {kind}")
    return os.fdopen(descriptor, "rb")


def _obstacle(status: os.stat_result) -> str:
    """Why something cannot be read as an image file; empty if it may be one."""
    if stat.S_ISDIR(status.st_mode):
        return "a folder"
    if not stat.S_ISREG(status.st_mode):
        return "a device or a pipe"
    return "" if status.st_size else "empty"


def _identified(path: str | os.PathLike, file: IO[bytes], most_pixels: int = MOST_PIXELS) -> Image.Image:
    """The image in a file, not yet decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        names = ", ".join(FORMATS)
        raise ValueError(f"{str(path)!r} cannot be read as an image; supported are {names}") from None
    except Image.DecompressionBombError as error:
        found = re.search(r"\d+", str(error))
        raise ValueError(_too_large(path, int(found.group()) if found else 0, most_pixels)) from None
    except Exception as error:
        raise ValueError(f"{str(path)!r} is damaged: {_reason(error)}") from error
    width, height = image.size
    most_pixels = most_pixels // 2 if is_deep_color(image) else most_pixels
    if width * height > most_pixels:
        image.close()
        raise ValueError(_too_large(path, width * height, most_pixels))
    return image


def _too_large(path: str | os.PathLike, pixels: int, most_pixels: int) -> str:
    return f"{str(path)!r} has {pixels:,} pixels; at most {most_pixels:,} are read, so reduce it first"


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _orientation(image: Image.Image) -> int:
    """The orientation in the EXIF data, 1 for upright; 1 also for damaged data."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = image.getexif().get(0x0112, 1)
    except Exception:  # any damage of the EXIF data
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
