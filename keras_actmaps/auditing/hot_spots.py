"""Hot spots: the patch of an image that holds most of its map; cutting, pasting and filling patches."""

from collections.abc import Sequence

import numpy as np

from keras_actmaps.core.types import Array

PART = 5  # the side of an image over that of its patch
CENTERING = 0.1  # weight at the center of a patch over that everywhere in it
BAND = 10  # the side of an image over the width of its border


def patch_size(height: int, width: int) -> tuple[int, int]:
    """The rows and columns of a patch, a fifth of the side each."""
    return max(1, round(height / PART)), max(1, round(width / PART))


def window_sums(maps: Array, size: tuple[int, int]) -> Array:
    """Sums over all windows of `size` rows and columns inside maps (N, H, W): (N, H - rows + 1, W - columns + 1)."""
    sums = np.pad(maps.astype("float64").cumsum(1).cumsum(2), ((0, 0), (1, 0), (1, 0)))
    rows, columns = size
    return sums[:, rows:, columns:] - sums[:, :-rows, columns:] - sums[:, rows:, :-columns] + sums[:, :-rows, :-columns]


def hot_spots(maps: Array, size: tuple[int, int]) -> Array:
    """Row and column (N, 2) at which the patch with the largest part of the positive map begins.

    A small part of the weight falls off from the center of the patch, so that it is centered on evidence smaller than
    itself.
    """
    rows, columns = size
    positive = np.maximum(maps, 0)
    first, second = ((rows + 1) // 2, (columns + 1) // 2), (rows // 2 + 1, columns // 2 + 1)
    pyramid = window_sums(window_sums(positive, first), second) / (first[0] * first[1])
    sums = window_sums(positive, size) + CENTERING * pyramid
    return np.stack(np.unravel_index(sums.reshape(len(maps), -1).argmax(axis=1), sums.shape[1:]), axis=1)


def other_place(spot: Array, shape: tuple[int, int], size: tuple[int, int], random: np.random.Generator) -> Array:
    """A random place (2,) for a patch, outside the patch at `spot` unless the image is too small."""
    free = np.ones([side - part + 1 for side, part in zip(shape, size)], bool)
    covered = tuple(slice(max(0, start - part + 1), start + part) for start, part in zip(spot, size))
    free[covered] = False
    choices = np.argwhere(free) if free.any() else np.argwhere(~free)
    return choices[random.integers(len(choices))]


def cut(images: Array, places: Array, size: tuple[int, int]) -> Array:
    """The patches (N, rows, columns, C) of images (N, H, W, C) at places (N, 2)."""
    return np.stack([image[box_of(place, size)] for image, place in zip(images, places)])


def paste(images: Array, patches: Array, places: Array) -> Array:
    """Copies of images (N, H, W, C) with patches (N, rows, columns, C) at places (N, 2)."""
    pasted = images.copy()
    for image, patch, place in zip(pasted, patches, places):
        image[box_of(place, patch.shape[:2])] = patch
    return pasted


def fill(images: Array, places: Array, size: tuple[int, int]) -> Array:
    """Copies of images (N, H, W, C) with their patches filled from the pixels around them.

    A pixel becomes the mean of the nearest pixels outside in its row and its column, weighted by 1 / distance, which
    continues every linear gradient.
    """
    filled = images.copy()
    for image, place in zip(filled, places):
        image[box_of(place, size)] = _from_surroundings(image, place, size)
    return filled


def _from_surroundings(image: Array, place: Array, size: tuple[int, int]) -> Array:
    (top, left), (rows, columns), (height, width) = place, size, image.shape[:2]
    total = np.zeros((rows, columns, image.shape[2]))
    weights = np.zeros((rows, columns, 1))
    down, right = np.arange(1, rows + 1)[:, None, None], np.arange(1, columns + 1)[None, :, None]
    inside_rows, inside_columns = slice(top, top + rows), slice(left, left + columns)
    edges = [
        (top > 0, (top - 1, inside_columns), (None, slice(None)), down),
        (top + rows < height, (top + rows, inside_columns), (None, slice(None)), rows + 1 - down),
        (left > 0, (inside_rows, left - 1), (slice(None), None), right),
        (left + columns < width, (inside_rows, left + columns), (slice(None), None), columns + 1 - right),
    ]
    for exists, where, axes, distance in edges:
        if exists:
            # The row or column (side, C) beside the patch is broadcast over it.
            total += image[where][axes] / distance
            weights += 1 / distance
    return total / weights if weights.any() else np.broadcast_to(image.mean(axis=(0, 1)), total.shape)


def box_of(place: Sequence[int] | Array, size: tuple[int, int]) -> tuple[slice, slice]:
    """The rows and columns of a patch, as slices."""
    top, left = (int(start) for start in place)
    return slice(top, top + size[0]), slice(left, left + size[1])


def border_share(maps: Array) -> Array:
    """The share (N,) of the positive map in the outer tenth of the image; NaN for a zero map."""
    inside = np.zeros(maps.shape[1:], bool)
    height, width = maps.shape[1:]
    rows, columns = max(1, round(height / BAND)), max(1, round(width / BAND))
    inside[rows : height - rows, columns : width - columns] = True
    return share_inside(maps, np.broadcast_to(~inside, maps.shape))


def share_inside(maps: Array, masks: Array) -> Array:
    """The share (N,) of the positive maps (N, H, W) that lies in masks (N, H, W); NaN for a zero map."""
    positive = np.maximum(maps, 0).astype("float64")
    totals = positive.sum(axis=(1, 2))
    inside = np.where(masks > 0, positive, 0).sum(axis=(1, 2))
    return np.divide(inside, totals, out=np.full(len(maps), np.nan), where=totals > 0)
