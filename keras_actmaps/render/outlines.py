"""Bounding boxes drawn into images."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_actmaps.core.types import Array
from keras_actmaps.render.images import pixels

FOUND, TRUE = (255, 0, 255), (255, 255, 255)  # colors that turbo and similar colormaps do not contain
PIXELS_PER_LINE = 120  # an image of 240 pixels has lines of two


def draw_boxes(images: ArrayLike, boxes: Sequence, truth: Sequence | Array | None = None) -> Array:
    """Draw the outlines of boxes into images or overlays.

    Parameters
    ----------
    images : array of shape (N, H, W, 1 or 3)
    boxes : sequence
        For each image a list of (y0, x0, y1, x1) or (y0, x0, y1, x1, score) in pixels, half open; drawn in magenta.
    truth : sequence or array of shape (N, 4), optional
        True boxes, drawn in white below the others, and dashed where both overlap. Boxes without area are not drawn.

    Returns
    -------
    uint8 array of shape (N, H, W, 3)

    Raises
    ------
    ValueError
        For boxes of another number of images.
    """
    drawn = pixels(images).copy()
    truth = [[]] * len(drawn) if truth is None else truth
    for name, one in (("boxes", boxes), ("true boxes", truth)):
        if len(one) != len(drawn):
            raise ValueError(f"{name} of {len(one)} images do not fit {len(drawn)} images")
    width = max(1, round(max(drawn.shape[1:3]) / PIXELS_PER_LINE))
    for image, found, true in zip(drawn, boxes, truth):
        below = _outlines(image.shape, np.reshape(true, (-1, 4)), width)
        above = _outlines(image.shape, [box[:4] for box in found], width)
        rows, columns = np.indices(above.shape)
        image[below] = TRUE
        image[above & ~(below & ((rows + columns) // (3 * width) % 2 == 0))] = FOUND
    return drawn


def _outlines(shape: tuple[int, ...], boxes: Iterable, width: int) -> Array:
    """bool (H, W): lines along the insides of boxes."""
    lines = np.zeros(shape[:2], bool)
    for box in boxes:
        y0, x0, y1, x1 = np.rint(np.clip(box, 0, (*shape[:2], *shape[:2]))).astype(int)
        inside = np.zeros(shape[:2], bool)
        inside[y0 + width : y1 - width, x0 + width : x1 - width] = True
        lines[y0:y1, x0:x1] |= ~inside[y0:y1, x0:x1]
    return lines
