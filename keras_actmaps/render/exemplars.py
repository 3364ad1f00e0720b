"""The figure of exemplars: the images that activate a channel most, with receptive fields and projections."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from keras_actmaps.core.types import Array
from keras_actmaps.render.colors import BRIGHTEST
from keras_actmaps.render.images import pixels
from keras_actmaps.render.panels import PANEL, TITLE, hide_rest, panel_grid, wrap_text

CELL, GAP = 120, 6  # pixels of the longer side of a cell, and between cells
COLUMNS = 6  # panels side by side
FRAME, OUTLINE = (255, 210, 0), (0, 0, 0)  # colors of the frame around a receptive field
BLANK, STRIPE = 235, 190  # grays of the cells without an exemplar

Box = tuple[slice, ...]  # rows, columns


def exemplar_figure(
    images: ArrayLike,
    boxes: Sequence[Sequence[Box]],
    silent: Array,
    titles: Sequence[str],
    projections: Array | None = None,
    caption: str = "",
    size: str = "",
) -> Figure:
    """For each channel, mosaics of k images with framed receptive fields, of the receptive fields, and of projections.

    Parameters
    ----------
    images : array of shape (channels, k, H, W, 1 or 3)
        In any common range.
    boxes : sequence
        For each image the slices (rows, columns) of the unit's receptive field. If all cover the whole image, the
        mosaics of receptive fields are omitted.
    silent : bool array of shape (channels, k)
        Images that do not activate the channel; they are hatched.
    titles : sequence of str
        One per channel.
    projections : array like `images`, optional
        Each is drawn on its own scale, on which gray is 0.
    caption : str
    size : str
        The size of a receptive field, in words.
    """
    images = np.asarray(images)
    drawn = pixels(images.reshape(-1, *images.shape[2:])).reshape(*images.shape[:-1], 3)
    is_whole = all(drawn[0, 0][box].shape == drawn[0, 0].shape for row in boxes for box in row)
    heads = ["images", *([] if is_whole else [f"receptive field{size and f', up to {size}'}"])]
    heads += ["projection"] if projections is not None else []
    columns = min(COLUMNS // len(heads), len(drawn)) * len(heads)
    rows = -(-len(drawn) * len(heads) // columns)
    figure, axes = panel_grid(rows, columns, caption)
    panels = iter(axes.ravel())
    for number, title in enumerate(titles):
        parts = _cells(drawn[number], boxes[number], None if projections is None else projections[number], is_whole)
        title = wrap_text(title, PANEL)
        for head, cells, panel in zip(heads, zip(*parts), panels):
            panel.imshow(_mosaic(cells, silent[number]))
            panel.set_title(title if head == "images" else head + "\n" * title.count("\n"), **TITLE)
    hide_rest(axes, len(titles) * len(heads))
    return figure


def projection_pixels(projection: Array) -> Array:
    """A projection (H, W, C) as uint8 (H, W, 3): 0 is gray, nearly the largest magnitude black or white."""
    largest = np.percentile(np.abs(projection), BRIGHTEST) or np.abs(projection).max() or 1
    gray = np.clip(projection / largest, -1, 1) * 127.5 + 127.5
    return np.broadcast_to(np.rint(gray), (*projection.shape[:2], 3)).astype("uint8")


def _cells(images: Array, boxes: Sequence[Box], projections: Array | None, is_whole: bool) -> Iterator[tuple]:
    """For each image the cells of all its panels."""
    for number, (image, box) in enumerate(zip(images, boxes)):
        cells = [_fitted(image, image.shape) if is_whole else _framed(image, box)]
        cells += [] if is_whole else [_fitted(image[box], image.shape)]
        cells += [] if projections is None else [_fitted(projection_pixels(projections[number][box]), image.shape)]
        yield tuple(cells)


def _mosaic(cells: Sequence[Array], silent: Array) -> Array:
    """Cells of one size in rows, as nearly square as possible; hatched where they are silent."""
    height, width = cells[0].shape[:2]
    columns = int(np.ceil(np.sqrt(len(cells))))
    rows = -(-len(cells) // columns)
    sheet = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, "uint8")
    for number, (cell, is_silent) in enumerate(zip(cells, silent)):
        top, left = (number // columns) * (height + GAP), (number % columns) * (width + GAP)
        sheet[top : top + height, left : left + width] = _hatched(cell.shape) if is_silent else cell
    return sheet


def _fitted(image: Array, shape: tuple[int, ...]) -> Array:
    """An image on white, as large as it fits into a cell for images of this shape, with square pixels."""
    height, width = (round(side * CELL / max(shape[:2])) for side in shape[:2])
    scale = min(height / image.shape[0], width / image.shape[1])
    inner_height, inner_width = (max(1, round(side * scale)) for side in image.shape[:2])
    interpolation = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA
    cell = np.full((height, width, 3), 255, "uint8")
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    resized = cv2.resize(image, (inner_width, inner_height), interpolation=interpolation)
    cell[top : top + inner_height, left : left + inner_width] = resized
    return cell


def _framed(image: Array, box: Box) -> Array:
    """A cell with an image and the frame of a box in it."""
    cell = _fitted(image, image.shape)
    scale = CELL / max(image.shape[:2])
    first = round(box[1].start * scale), round(box[0].start * scale)
    last = round(box[1].stop * scale) - 1, round(box[0].stop * scale) - 1
    for color, thickness in ((OUTLINE, 4), (FRAME, 2)):
        cv2.rectangle(cell, first, last, color, thickness)
    return cell


def _hatched(shape: tuple[int, ...]) -> Array:
    """Stripes in place of an image that does not activate the channel."""
    rows, columns = np.indices(shape[:2])
    return np.where((rows + columns) % 16 < 3, STRIPE, BLANK).astype("uint8")[..., None].repeat(3, axis=2)
