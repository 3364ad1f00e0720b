"""The figure of exemplars: the images that excite a channel most, what of them it sees and what in that excites it."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure

from keras_actmaps.render.colors import BRIGHTEST
from keras_actmaps.render.figures import FONT, PANEL, grid_of, in_lines
from keras_actmaps.render.images import pixels

CELL, GAP = 120, 6  # pixels of a cell's longer side, and between cells
ABREAST = 6  # panels side by side
FRAME, OUTLINE = (255, 210, 0), (0, 0, 0)  # the colours of the box that a unit sees
BLANK, STRIPE = 235, 190  # the greys of what is no exemplar


def exemplar_figure(
    images, boxes, silent, titles: Sequence[str], projections=None, caption: str = "", size: str = ""
) -> Figure:
    """A mosaic a channel of the k images with what a unit sees framed, one of the crops, and one of the projections.

    images: (channels, k, H, W, 1 or 3), of any usual range. boxes: for each image the slices (rows, columns) of what
    the unit sees; where all see everything, there are no crops. silent: bool (channels, k), what is no exemplar and is
    hatched. projections: like the images, each drawn at its own scale, grey being 0, or None. titles: one a channel.
    size: that of a crop, in words.
    """
    images = np.asarray(images)
    drawn = pixels(images.reshape(-1, *images.shape[2:])).reshape(*images.shape[:-1], 3)
    is_whole = all(drawn[0, 0][box].shape == drawn[0, 0].shape for row in boxes for box in row)
    heads = ["images", *([] if is_whole else [f"what it sees{size and f', up to {size}'}"])]
    heads += ["what excites it"] if projections is not None else []
    columns = min(ABREAST // len(heads), len(drawn)) * len(heads)
    rows = -(-len(drawn) * len(heads) // columns)
    figure, axes = grid_of(rows, columns, caption)
    panels = iter(axes.ravel())
    for number, title in enumerate(titles):
        parts = _parts(drawn[number], boxes[number], None if projections is None else projections[number], is_whole)
        title = in_lines(title, PANEL)
        for head, cells, panel in zip(heads, zip(*parts), panels):
            panel.imshow(_mosaic(cells, silent[number]))
            panel.set_title(title if head == "images" else head + "\n" * title.count("\n"), **FONT)
    for panel in panels:
        panel.set_visible(False)
    return figure


def projected(projection: np.ndarray) -> np.ndarray:
    """What excites a unit (H,W,C) as uint8 (H,W,3): 0 is grey, nearly the largest magnitude black or white."""
    largest = np.percentile(np.abs(projection), BRIGHTEST) or np.abs(projection).max() or 1
    grey = np.clip(projection / largest, -1, 1) * 127.5 + 127.5
    return np.broadcast_to(np.rint(grey), (*projection.shape[:2], 3)).astype("uint8")


def _parts(images, boxes, projections, is_whole: bool) -> Iterator[tuple]:
    """For each image the cells of all its panels."""
    for place, (image, box) in enumerate(zip(images, boxes)):
        cells = [_fitted(image, image.shape) if is_whole else _framed(image, box)]
        cells += [] if is_whole else [_fitted(image[box], image.shape)]
        cells += [] if projections is None else [_fitted(projected(projections[place][box]), image.shape)]
        yield tuple(cells)


def _mosaic(cells: Sequence[np.ndarray], silent: np.ndarray) -> np.ndarray:
    """Cells of one size in rows, as near to a square as can be; hatched where they are silent."""
    height, width = cells[0].shape[:2]
    columns = int(np.ceil(np.sqrt(len(cells))))
    rows = -(-len(cells) // columns)
    sheet = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, "uint8")
    for number, (cell, is_silent) in enumerate(zip(cells, silent)):
        top, left = (number // columns) * (height + GAP), (number % columns) * (width + GAP)
        sheet[top : top + height, left : left + width] = _hatched(cell.shape) if is_silent else cell
    return sheet


def _fitted(image: np.ndarray, shape: tuple) -> np.ndarray:
    """An image as large as a cell for images of this shape lets it be, pixels as squares, on white."""
    height, width = (round(side * CELL / max(shape[:2])) for side in shape[:2])
    scale = min(height / image.shape[0], width / image.shape[1])
    inside = [max(1, round(side * scale)) for side in image.shape[:2]]
    how = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA
    cell = np.full((height, width, 3), 255, "uint8")
    top, left = (height - inside[0]) // 2, (width - inside[1]) // 2
    resized = cv2.resize(image, inside[::-1], interpolation=how)
    cell[top : top + inside[0], left : left + inside[1]] = resized
    return cell


def _framed(image: np.ndarray, box: tuple[slice, slice]) -> np.ndarray:
    """A cell with an image and the frame of a box in it."""
    cell = _fitted(image, image.shape)
    scale = CELL / max(image.shape[:2])
    corners = [(round(columns * scale), round(rows * scale))
               for columns, rows in ((box[1].start, box[0].start), (box[1].stop, box[0].stop))]  # fmt: skip
    last = corners[1][0] - 1, corners[1][1] - 1
    for colour, thickness in ((OUTLINE, 4), (FRAME, 2)):
        cv2.rectangle(cell, corners[0], last, colour, thickness)
    return cell


def _hatched(shape: tuple) -> np.ndarray:
    """In the place of an image that does not excite the channel: stripes."""
    rows, columns = np.indices(shape[:2])
    return np.where((rows + columns) % 16 < 3, STRIPE, BLANK).astype("uint8")[..., None].repeat(3, axis=2)
