"""The parts that several garments share: sleeves, trunk, neckline, print, buttons and the texture of the cloth."""

import numpy as np

from keras_actmaps.core.types import Array
from keras_actmaps.data.drawn.canvas import SIDE, Canvas, arc


def add_sleeves(canvas: Canvas, shoulder: float, top: float, length: float, angle: float, wide: float) -> None:
    """Two sleeves at `angle` from the vertical, each with a cuff."""
    shade, narrowing, cuff = canvas.vary((0.75, 0.98), (0.6, 0.85), (0.45, 0.65))
    along, across = wide * np.array([[np.sin(angle), np.cos(angle)], [-np.cos(angle), np.sin(angle)]])
    start = np.array([shoulder - 0.3, top + 1.4])
    end, seam = start + along * length / wide, start + along * (length - 1.2) / wide
    canvas.fill([start, end, end + narrowing * across, start + across], shade, twice=True)
    canvas.line([seam, seam + narrowing * across], cuff, 0.7, twice=True)


def add_trunk(canvas: Canvas, shoulder: float, chest: float, hem: float, top: float, bottom: float) -> None:
    """The trunk of a garment with sleeves, by its half widths, and the seams of the sleeves."""
    armhole = [(shoulder, top + 1.6), (chest, top + 7)]
    canvas.fill([(0, top), (2, top), *armhole, (chest - 0.2, 2), (hem, bottom), (0, bottom)], twice=True)
    canvas.line(np.subtract(armhole, (0.4, 0)), 0.5, 0.6, twice=True)


def add_neckline(canvas: Canvas, top: float, wide: float, deep: float) -> None:
    """A round or pointed neck opening with a band around it."""
    edge = arc(0, top - 0.3, wide, deep, 0, 180)[:: canvas.rng.choice((1, 1, 6))]
    canvas.fill(edge, 0)
    canvas.line(edge, 0.6, 0.6)


def add_chest_print(canvas: Canvas) -> None:
    """Up to four blots on the chest, or none."""
    for _ in range(canvas.rng.choice((0, 0, 2, 3, 4))):
        blot = arc(*canvas.vary((-2, 2), (-4, 2), (0.8, 3), (0.5, 1.8)))
        canvas.fill(blot, 0.5 if canvas.tone > 170 else 1.6)


def add_buttons(canvas: Canvas, x: float, top: float, bottom: float, size: float) -> None:
    """Three to five buttons, one below the other."""
    for y in np.linspace(top, bottom, canvas.rng.integers(3, 6)):
        canvas.fill(arc(x, y, size, size), 0.15)


def _stripes(rng: np.random.Generator) -> Array:
    """Factors of a tile: stripes of random width, depth and angle."""
    period, phase, depth, angle = rng.uniform((3, 0, 0.1, -0.2), (7, 6.3, 0.3, 0.2))
    across, down = np.cos(angle) * np.arange(SIDE), np.sin(angle) * np.arange(SIDE)
    return 1 - depth * (np.sin(np.add.outer(down, across) * 2 * np.pi / period + phase) > 0)


def texture(rng: np.random.Generator) -> Array:
    """Factors of a tile: grain, a shadow from one side, stripes or checks."""
    pattern, depth = rng.integers(7), rng.uniform(0, 0.25)
    if pattern < 2:
        return 1 - depth * rng.random((SIDE, SIDE))
    if pattern < 4:
        return 1 - depth * np.linspace(pattern - 2, 3 - pattern, SIDE)
    return (_stripes(rng), _stripes(rng).T, _stripes(rng) * _stripes(rng).T)[pattern - 4]
