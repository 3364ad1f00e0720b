"""Pictures drawn repeatedly during training, quickly, by Pillow: cards of images, and strips over time."""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from textwrap import wrap

import cv2
import matplotlib
import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.files import atomic_write
from keras_actmaps.core.types import Array
from keras_actmaps.render.colors import map_colors, map_norm, overlay
from keras_actmaps.render.images import bands_title, channel_count, pixels

CARD, FRAME = 168, 112  # pixels of the longer side of a panel, in a card and in a strip
GAP, LINE = 8, 17  # pixels
FONT_SIZE = 13
BLACK, WHITE = (20, 20, 20), (255, 255, 255)


def cards(
    explanation: Explanation,
    images: ArrayLike,
    titles: Sequence[Sequence[str]],
    caption: str = "",
    colormap: str = "turbo",
    alpha: float | str = 0.5,
    contours: float | None = None,
    bands: str | Sequence[int] = "mean",
) -> Array:
    """A card per image: the image, its raw map on its own scale, and the overlay, below the lines of a title.

    Parameters
    ----------
    explanation : Explanation
        Maps (N, H, W).
    images : array of shape (N, H, W, C)
        The caption says what is drawn of more than three channels.
    titles : sequence of sequences of str
        The lines of each title; long ones are cut off.
    caption : str
    colormap, alpha, contours, bands
        As for `overlay`.

    Returns
    -------
    uint8 array of shape (height, width, 3)
    """
    overlays = overlay(explanation, images, alpha, colormap, contours, bands)
    caption += bands_title(channel_count(images), bands)
    maps = [_raw_map(values, explanation.maps, colormap) for values in explanation.maps]
    rows = [[_resized(panel, CARD) for panel in row] for row in zip(pixels(images, bands), maps, overlays)]
    height, width = rows[0][0].shape[:2]
    head, columns = LINE * max(map(len, titles)), 1 if len(rows) < 3 else 2 if len(rows) < 11 else 3
    step_down, step_right = head + height + 2 * GAP, 3 * (width + GAP) + 2 * GAP
    sheet, top = _sheet(step_down * -(-len(rows) // columns), step_right * columns, caption)
    for number, (panels, lines) in enumerate(zip(rows, titles)):
        row, column = divmod(number, columns)
        left, upper = GAP + column * step_right, top + row * step_down
        for line, text in enumerate(lines):
            _write(sheet, text, left, upper + line * LINE, step_right - 2 * GAP, FONT_SIZE)
        for index, panel in enumerate(panels):
            sheet.paste(Image.fromarray(panel), (left + index * (width + GAP), upper + head))
    return np.asarray(sheet)


def strip(
    frames: Sequence[ArrayLike],
    images: ArrayLike,
    names: Sequence[str],
    headers: Sequence[Sequence[str]],
    words: Sequence[Sequence[str]],
    caption: str = "",
) -> Array:
    """A row per image and a column per moment.

    Parameters
    ----------
    frames : sequence of uint8 arrays of shape (N, H, W, 3)
        One per moment.
    images : array of shape (N, H, W, 1 or 3)
        The first column.
    names : sequence of str
        One per image, above it.
    headers : sequence of sequences of str
        For each moment, the lines above its column.
    words : sequence of sequences of str
        For each moment, one line above each frame.
    caption : str

    Returns
    -------
    uint8 array of shape (height, width, 3)
    """
    columns = [[_resized(panel, FRAME) for panel in column] for column in (pixels(images), *map(np.asarray, frames))]
    height, width = columns[0][0].shape[:2]
    head, step_down, step_right = LINE * max(map(len, headers)) + GAP, height + LINE + GAP, width + GAP
    sheet, top = _sheet(head + step_down * len(names), GAP + step_right * len(columns), caption)
    for number, (column, lines, texts) in enumerate(zip(columns, ((), *headers), (names, *words))):
        left = GAP + number * step_right
        for line, text in enumerate(lines):
            _write(sheet, text, left, top + line * LINE, width, FONT_SIZE)
        for row, (panel, text) in enumerate(zip(column, texts)):
            upper = top + head + row * step_down
            _write(sheet, text, left, upper, width, FONT_SIZE - 2)
            sheet.paste(Image.fromarray(panel), (left, upper + LINE))
    return np.asarray(sheet)


def as_png(picture: Array) -> bytes:
    """A picture as PNG."""
    compression = [cv2.IMWRITE_PNG_COMPRESSION, 6]  # a quarter of the size of OpenCV's default
    return cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), compression)[1].tobytes()


def save_png(png: bytes, path: str | os.PathLike) -> Path:
    """Write a PNG file atomically; OSError if that fails."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(png)
    return Path(path)


def _raw_map(values: Array, all_values: Array, colormap: str) -> Array:
    """A raw map in color on its own scale: uint8 (H, W, 3)."""
    norm = map_norm(values, all_values)
    return (map_colors(norm, colormap)(norm(values))[..., :3] * 255).round().astype("uint8")


def _sheet(height: int, width: int, caption: str) -> tuple[Image.Image, int]:
    """A white sheet with a caption, and the row of pixels where it ends."""
    lines = [line for part in caption.splitlines() for line in wrap(part, max(20, 2 * width // FONT_SIZE))]
    top = LINE * len(lines) + 2 * GAP
    sheet = Image.new("RGB", (width + GAP, top + height), WHITE)
    for number, line in enumerate(lines):
        _write(sheet, line, GAP, GAP + number * LINE, width, FONT_SIZE)
    return sheet, top


def _write(sheet: Image.Image, text: str, left: int, top: int, width: int, size: int) -> None:
    """Write text on one line, cut off at `width`."""
    font = _font(size)
    if font.getlength(text) > width:
        while text and font.getlength(text + "…") > width:
            text = text[:-1]
        text += "…"
    ImageDraw.Draw(sheet).text((left, top), text, font=font, fill=BLACK)


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)


def _resized(panel: Array, side: int) -> Array:
    """A panel whose longer side is about `side`: enlarged by repeating pixels, or reduced by averaging."""
    factor = side / max(panel.shape[:2])
    factor = int(factor) if factor >= 1 else factor
    height, width = (max(1, round(length * factor)) for length in panel.shape[:2])
    return cv2.resize(panel, (width, height), interpolation=cv2.INTER_NEAREST if factor >= 1 else cv2.INTER_AREA)
