"""Pictures that are drawn often, in milliseconds, by Pillow: a card an image, and a strip of turns."""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from textwrap import wrap

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.files import atomic_write
from keras_actmaps.render.colors import colours_of, overlay, scale_of
from keras_actmaps.render.images import pixels

CARD, FRAME = 168, 112  # the longer side of a panel of a card, and of a strip
GAP, LINE = 8, 17  # pixels
LETTER = 13  # the size of letters; those of a strip are smaller
INK, PAPER = (20, 20, 20), (255, 255, 255)


def cards(
    explanation: Explanation, images, titles: Sequence[Sequence[str]], caption: str = "", colormap: str = "turbo"
) -> np.ndarray:
    """A card an image: lines of a title above the image, its raw map at its own scale, and the overlay; uint8 RGB."""
    over = overlay(explanation, images, colormap=colormap)
    scales = [scale_of(values, explanation.maps) for values in explanation.maps]
    maps = [(colours_of(scale, colormap)(scale(values))[..., :3] * 255).round().astype("uint8")
            for scale, values in zip(scales, explanation.maps)]  # fmt: skip
    rows = [[_sized(panel, CARD) for panel in row] for row in zip(pixels(images), maps, over)]
    height, width = rows[0][0].shape[:2]
    head, columns = LINE * max(map(len, titles)), 1 if len(rows) < 3 else 2 if len(rows) < 11 else 3
    step_down, step_right = head + height + 2 * GAP, 3 * (width + GAP) + 2 * GAP
    paper, top = _paper(step_down * -(-len(rows) // columns), step_right * columns, caption)
    for number, (panels, lines) in enumerate(zip(rows, titles)):
        down, right = divmod(number, columns)
        left, down = GAP + right * step_right, top + down * step_down
        for line, words in enumerate(lines):
            _write(paper, words, left, down + line * LINE, step_right - 2 * GAP, LETTER)
        for place, panel in enumerate(panels):
            paper.paste(Image.fromarray(panel), (left + place * (width + GAP), down + head))
    return np.asarray(paper)


def strip(frames: Sequence, images, names, headers, words, caption: str = "") -> np.ndarray:
    """A row an image, a column a turn: uint8 RGB.

    frames: of each turn uint8 (N,H,W,3). names: N lines beside the images. headers: of each turn lines above its
    column. words: of each turn N lines, one above each frame.
    """
    columns = [[_sized(panel, FRAME) for panel in column] for column in (pixels(images), *frames)]
    height, width = columns[0][0].shape[:2]
    head, step_down, step_right = LINE * max(map(len, headers)) + GAP, height + LINE + GAP, width + GAP
    paper, top = _paper(head + step_down * len(names), GAP + step_right * len(columns), caption)
    for right, (column, lines, texts) in enumerate(zip(columns, ((), *headers), (names, *words))):
        left = GAP + right * step_right
        for line, text in enumerate(lines):
            _write(paper, text, left, top + line * LINE, width, LETTER)
        for down, (panel, text) in enumerate(zip(column, texts)):
            place = top + head + down * step_down
            _write(paper, text, left, place, width, LETTER - 2)
            paper.paste(Image.fromarray(panel), (left, place + LINE))
    return np.asarray(paper)


def as_png(picture: np.ndarray) -> bytes:
    """A picture as PNG."""
    small = [cv2.IMWRITE_PNG_COMPRESSION, 6]  # a quarter of what OpenCV takes by itself
    return cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), small)[1].tobytes()


def save_png(png: bytes, path: str | os.PathLike) -> Path:
    """Write a file, atomic_write or not at all; OSError where that cannot be done."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(png)
    return Path(path)


def _paper(height: int, width: int, caption: str):
    """White paper with a caption, and where it is free from."""
    lines = [line for part in caption.splitlines() for line in wrap(part, max(20, 2 * width // LETTER))]
    top = LINE * len(lines) + 2 * GAP
    paper = Image.new("RGB", (width + GAP, top + height), PAPER)
    for number, line in enumerate(lines):
        _write(paper, line, GAP, GAP + number * LINE, width, LETTER)
    return paper, top


def _write(paper, words: str, left: int, top: int, width: int, size: int) -> None:
    """Words on one line, cut off where it ends."""
    font = _font(size)
    if font.getlength(words) > width:
        while words and font.getlength(words + "…") > width:
            words = words[:-1]
        words += "…"
    ImageDraw.Draw(paper).text((left, top), words, font=font, fill=INK)


@lru_cache
def _font(size: int):
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def _sized(panel: np.ndarray, side: int) -> np.ndarray:
    """A panel whose longer side is about `side`: each pixel repeated, or the panel made smaller."""
    times = side / max(panel.shape[:2])
    times = int(times) if times >= 1 else times
    height, width = (max(1, round(length * times)) for length in panel.shape[:2])
    return cv2.resize(panel, (width, height), interpolation=cv2.INTER_NEAREST if times >= 1 else cv2.INTER_AREA)
