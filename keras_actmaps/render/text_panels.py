"""What pictures of texts are made of: panels of words with values, and their colors."""

from dataclasses import dataclass

import numpy as np

from keras_actmaps.core.types import Array
from keras_actmaps.render.colors import SIGNED, palette

PALER = 0.17  # share of each end of the color map that is left out, so that words stay legible


@dataclass(frozen=True)
class Panel:
    """One text by one method and class: its words, their values, and the value at the ends of the colors."""

    title: str
    words: tuple[str, ...]
    values: tuple[float, ...]
    largest: float


def shade(share: float) -> Array:
    """The color of a share of the largest value, -1 to 1, as RGB 0..1; pale enough for black words."""
    end = np.array(palette(SIGNED)(0.5 + np.sign(share) * (0.5 - PALER))[:3])
    return 1 - abs(share) * (1 - end)


def printable(line: str) -> str:
    """A line without the control characters that would move a cursor or change colors."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)
