"""Segments of an image that are kept or hidden as a whole: superpixels, a grid, or the user's own."""

import numpy as np

from keras_actmaps.methods.masking import masked_scores, per_axis, space_of

SEGMENTS = ("superpixels", "grid")
NEARNESS = 0.2  # what a cell's side counts for in a distance, where the range of a channel counts 1
ROUNDS = 10


def segmented(images: np.ndarray, segments="superpixels", cells=7) -> np.ndarray:
    """The segment (N,H,W) in which each pixel lies, numbered from 0; each image has every number.

    segments: "superpixels", by `superpixels`; "grid", equal cells; or integers (H,W) of one's own for all images.
    cells: how many of them along an axis. The features of a table are a segment each. Raises ValueError for segments
    that do not fit the images.
    """
    space = space_of(images)
    if not isinstance(segments, str):
        given = np.asarray(segments)
        if given.shape != space or not np.issubdtype(given.dtype, np.integer):
            raise ValueError(
                f"segments of shape {given.shape} and type {given.dtype} do not fit; give integers {space}"
            )
        own = np.unique(given, return_inverse=True)[1].reshape(space)
        return np.broadcast_to(own, (len(images), *space))
    if segments not in SEGMENTS:
        raise ValueError(f"no segments {segments!r}; there are: {', '.join(SEGMENTS)}, or an array of integers {space}")
    sides = space if images.ndim == 2 else tuple(map(min, per_axis("cells", cells, space), space))
    if segments == "grid" or images.ndim == 2:
        return np.broadcast_to(_grid(space, sides), (len(images), *space))
    return np.stack([superpixels(image, sides) for image in images])


def superpixels(image: np.ndarray, cells: tuple[int, ...]) -> np.ndarray:
    """An image (H,W,C) -> the superpixel (H,W) of each pixel, after SLIC (Achanta et al. 2012) with one global search.

    k-means of places and colours, begun with a grid of `cells`. Each superpixel keeps the middle pixel of its first
    cell, so that none is lost; islands are not joined to their neighbours.
    """
    space, count = image.shape[:-1], int(np.prod(cells))
    scale = np.array(cells) / space
    places = np.moveaxis(np.indices(space), 0, -1).reshape(-1, len(space)) * scale
    colours = image.reshape(-1, image.shape[-1])
    points = np.concatenate([NEARNESS * places, colours / max(np.ptp(colours), 1e-12)], axis=1)
    labels = _grid(space, cells).ravel()
    off_middle = ((places % 1 - 0.5 + scale / 2) ** 2).sum(1)
    seeds = np.lexsort((off_middle, labels))[np.searchsorted(np.sort(labels), np.arange(count))]
    for _ in range(ROUNDS):
        sums = np.stack([np.bincount(labels, column, count) for column in points.T], axis=1)
        centres = sums / np.bincount(labels, minlength=count)[:, None]
        labels = ((centres**2).sum(1) - 2 * points @ centres.T).argmin(1)
        labels[seeds] = np.arange(count)
    return labels.reshape(space)


def coalition_scores(probe, images, targets, coalitions: np.ndarray, labels: np.ndarray, fill) -> np.ndarray:
    """The scores (N, M) of each image when only the segments of each coalition (M, segments) are kept."""

    def masks(which, sample):
        return np.stack([coalitions[number][labels[image]] for image, number in zip(which, sample)])

    return masked_scores(probe, images, targets, len(coalitions), masks, fill)


def spread(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The values (N, segments) at the pixels of their segments: maps (N,H,W)."""
    return np.stack([value[label] for value, label in zip(values, labels)]).astype("float32")


def _grid(space: tuple[int, ...], cells: tuple[int, ...]) -> np.ndarray:
    places = [np.arange(side) * count // side for side, count in zip(space, cells)]
    return np.ravel_multi_index(np.meshgrid(*places, indexing="ij"), cells)
