"""Boxes drawn into images."""

from collections.abc import Sequence

import numpy as np

from keras_actmaps.render.images import pixels

FOUND, TRUE = (255, 0, 255), (255, 255, 255)  # colours that are in no colour map of turbo's kind
WIDTH = 120  # pixels of an image for one of a line


def framed(images, boxes: Sequence, truth: Sequence | None = None) -> np.ndarray:
    """Images or overlays with the outlines of boxes: uint8 RGB (N,H,W,3).

    boxes: for each image a list of (y0, x0, y1, x1) or (..., score), pixels, half open; magenta. truth: boxes likewise,
    or one an image (N,4); white, below the others, dashed where both meet. One without an area is not drawn.
    """
    drawn = pixels(images).copy()
    truth = [[]] * len(drawn) if truth is None else truth
    for name, given in (("boxes", boxes), ("true boxes", truth)):
        if len(given) != len(drawn):
            raise ValueError(f"{name} of {len(given)} images do not fit {len(drawn)} images")
    width = max(1, round(max(drawn.shape[1:3]) / WIDTH))
    for image, found, true in zip(drawn, boxes, truth):
        below = _outlines(image.shape, np.reshape(true, (-1, 4)), width)
        above = _outlines(image.shape, [box[:4] for box in found], width)
        rows, columns = np.indices(above.shape)
        image[below] = TRUE
        image[above & ~(below & ((rows + columns) // (3 * width) % 2 == 0))] = FOUND
    return drawn


def _outlines(shape: tuple, boxes, width: int) -> np.ndarray:
    """bool (H,W): lines along the insides of boxes."""
    lines = np.zeros(shape[:2], bool)
    for box in boxes:
        y0, x0, y1, x1 = np.rint(np.clip(box, 0, (*shape[:2], *shape[:2]))).astype(int)
        inside = np.zeros(shape[:2], bool)
        inside[y0 + width : y1 - width, x0 + width : x1 - width] = True
        lines[y0:y1, x0:x1] |= ~inside[y0:y1, x0:x1]
    return lines
