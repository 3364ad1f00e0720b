"""The handwritten digits of `drawn-grid`."""

import numpy as np

from keras_actmaps.core.types import Array
from keras_actmaps.data.drawn.canvas import SIDE, Canvas

# Variants of each digit: strokes through points xy of a 10x10 grid; a repeated point is a corner.
WRITINGS = (
    ("50 23 27 59 77 73 50 23", "60 23 17 49 77 82 50 22 24"),
    ("51 55 59", "33 50 50 59", "32 50 50 59, 29 79"),
    ("22 40 71 64 19 19 89", "12 40 71 73 47 18 17 27 58 89"),
    ("11 40 71 73 44 44 75 87 59 18", "10 80 80 43 43 75 87 59 18"),
    ("20 14 14 94, 70 69", "60 60 16 16 96, 63 69", "20 15 35 84, 80 76 69"),
    ("80 20 20 24 24 54 86 59 18", "30 24 24 54 86 59 18, 30 80"),
    ("60 32 16 38 59 87 65 35 17", "70 43 26 39 69 86 65 36"),
    ("10 80 80 49", "10 80 80 39, 25 75", "12 10 10 80 80 49"),
    ("71 40 22 44 76 68 39 17 35 63 71", "50 22 54 72 50, 54 17 59 87 54"),
    ("72 40 13 45 73 71 71 69", "70 30 23 55 82 70 70 59", "71 40 13 45 72 71 71 67 49 28"),
)
SPLINE = np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2


def _curve(points: Array) -> Array:
    """A smooth line through the points (a Catmull-Rom spline)."""
    padded = np.concatenate([points[:1], points, points[-1:]])
    windows = np.stack([padded[:-3], padded[1:-2], padded[2:-1], padded[3:]], 1)
    return (np.linspace(0, 1, 7)[:, None] ** np.arange(4) @ SPLINE @ windows).reshape(-1, 2)


def draw_digit(digit: int, rng: np.random.Generator) -> Array:
    """One digit as if written by hand, uint8 (28, 28), white on black."""
    if digit not in range(len(WRITINGS)):
        raise ValueError(f"a digit must be an integer from 0 to 9, got {digit}")
    canvas = Canvas(rng, turn=0.15, slant=0.25, shift=0.8)
    canvas.tone, width, narrow, size = canvas.vary((225, 255), (1.6, 3.4), (0.8, 1.12), (1.75, 2.05))
    unsteady = rng.normal(0, 0.27, (10, 10, 2))
    for stroke in rng.choice(WRITINGS[digit]).split(","):
        grid = np.array([divmod(int(point), 10) for point in stroke.split()])
        points = grid + unsteady[grid[:, 0], grid[:, 1]]
        canvas.line((_curve(points) - 4.7) * (size * narrow, size), 1.0, width)
    return canvas.tile()


def draw_digits(count: int, seed: int) -> Array:
    """Digits, uint8 (count, 28, 28, 1), all equally likely."""
    rng = np.random.default_rng(seed)
    tiles = np.array([draw_digit(digit, rng) for digit in rng.integers(len(WRITINGS), size=count)], np.uint8)
    return tiles.reshape(count, SIDE, SIDE, 1)
