"""The canvas on which tiles are drawn.

Points are in tile units from the center of the tile (x to the right, y down, -14 to 14). Tiles are drawn four times
too large and shrunk, so that edges are soft. Shades are factors of the tone of the whole drawing.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike

from keras_actmaps.core.types import Array

SIDE = 28
ZOOM = 4


class Canvas:
    """A tile that is being drawn, under one random rotation, slant, stretch and shift."""

    def __init__(self, rng: np.random.Generator, turn: float, slant: float, shift: float) -> None:
        self.rng = rng
        self.pixels = np.zeros((SIDE * ZOOM, SIDE * ZOOM), np.uint8)
        self.tone, angle, lean = self.vary((120, 250), (-turn, turn), (-slant, slant))
        wide, tall, right, down = self.vary((0.9, 1.04), (0.92, 1.02), (-shift, shift), (-shift, shift))
        rotation = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        self.transform = np.array([[wide, 0], [-lean, tall]]) @ rotation
        self.center = np.array([right, down]) + SIDE / 2

    def vary(self, *ranges: tuple[float, float]) -> list[float]:
        """A random number from each range."""
        return [self.rng.uniform(low, high) for low, high in ranges]

    def fill(self, points: ArrayLike, factor: float = 1.0, twice: bool = False) -> None:
        """Fill a polygon, and with `twice` its mirror image too."""
        for shape in self._place(points, twice):
            cv2.fillPoly(self.pixels, [shape], min(255, self.tone * factor))

    def line(self, points: ArrayLike, factor: float, width: float, twice: bool = False, chance: float = 1.0) -> None:
        """Draw a line with probability `chance`, and with `twice` its mirror image too."""
        if self.rng.random() < chance:
            shade, thickness = min(255, self.tone * factor), round(width * ZOOM)
            cv2.polylines(self.pixels, self._place(points, twice), False, shade, thickness)

    def tile(self) -> Array:
        """The drawing at its final size, uint8 (28, 28)."""
        return cv2.resize(self.pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)

    def _place(self, points: ArrayLike, twice: bool) -> list[Array]:
        """The points, and with `twice` their mirror image, as pixels of the enlarged tile."""
        sides = ((1, 1), (-1, 1))[: 1 + twice]
        placed = [(np.multiply(points, side) @ self.transform + self.center) * ZOOM - 0.5 for side in sides]
        return [np.rint(shape).astype(np.int32) for shape in placed]


def arc(x: float, y: float, wide: float, tall: float, start: float = 0, end: float = 360) -> Array:
    """Points along an ellipse or part of it; angles in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 13))
    return np.stack([x + wide * np.cos(angles), y + tall * np.sin(angles)], 1)
