"""Segments of an image that are kept or hidden as a whole: superpixels, a grid, or user-defined."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import numpy as np
from keras import ops

from keras_actmaps.core.attribution import map_shape
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._baselines import baseline_for
from keras_actmaps.methods._masking import chunk_scores, per_axis

Segments = Annotated[
    Literal["superpixels", "slic", "grid"] | np.ndarray | Callable,
    "superpixels, scikit-image's slic, a grid, labels (H, W), or a function from an image to these",
]
CELLS = "segments along each axis"
COMPACTNESS = 0.2  # weight of the distance of one cell, relative to the value range of a channel
ITERATIONS = 10
DISTANCES = 2**24  # of positions to centers that are in memory at a time
FELZENSZWALB_SCALES = (50, 100, 150, 250, 500, 1200)  # those of XRAI's authors, for images of this side
FELZENSZWALB_SIDE = 224


def segment(inputs: Array, segments: Any = "superpixels", cells: Any = 7) -> Array:
    """The segment of each pixel, numbered from 0 in each image.

    Parameters
    ----------
    inputs : array of shape (N, ..., C)
    segments : {"superpixels", "slic", "grid"}, array or callable
        "superpixels" are those of `superpixels`; "slic" by scikit-image, an optional dependency, has connected
        segments; "grid" has equal cells; an array (H, W) has integer labels for all images; a function maps an image to
        its labels.
    cells : int or tuple of int
        Number of segments along each axis. For tabular inputs each feature is a segment.

    Returns
    -------
    int array of shape (N, H, W)

    Raises
    ------
    ValueError
        For segments that do not fit the inputs.
    ImportError
        For "slic" without scikit-image.
    """
    space = map_shape(inputs)
    if callable(segments):
        return np.stack([_validated_labels(segments(image), space) for image in inputs])
    if not isinstance(segments, str):
        return np.broadcast_to(_validated_labels(segments, space), (len(inputs), *space))
    counts = space if inputs.ndim == 2 else tuple(map(min, per_axis("cells", cells, space), space))
    if segments == "grid" or inputs.ndim == 2:
        return np.broadcast_to(_grid(space, counts), (len(inputs), *space))
    function = {"superpixels": superpixels, "slic": slic}[segments]
    return np.stack([function(image, counts) for image in inputs])


def superpixels(image: Array, cells: tuple[int, ...]) -> Array:
    """The superpixel (H, W) of each pixel of an image (H, W, C), after SLIC (Achanta et al. 2012).

    k-means of positions and colors with one global search, started from a grid of `cells`. Each superpixel keeps the
    middle pixel of its initial cell, so that none becomes empty and all images have the same number; isolated parts are
    not merged with their neighbors.
    """
    space, count = image.shape[:-1], int(np.prod(cells))
    if space == tuple(cells):
        return _grid(space, cells)
    scale = np.array(cells) / space
    positions = np.moveaxis(np.indices(space), 0, -1).reshape(-1, len(space)) * scale
    colors = image.reshape(-1, image.shape[-1])
    points = np.concatenate([COMPACTNESS * positions, colors / max(np.ptp(colors), 1e-12)], axis=1)
    labels = _grid(space, cells).ravel()
    off_middle = ((positions % 1 - 0.5 + scale / 2) ** 2).sum(1)
    seeds = np.lexsort((off_middle, labels))[np.searchsorted(np.sort(labels), np.arange(count))]
    for _ in range(ITERATIONS):
        sums = np.stack([np.bincount(labels, column, count) for column in points.T], axis=1)
        centers = sums / np.bincount(labels, minlength=count)[:, None]
        labels = _nearest(points, centers)
        labels[seeds] = np.arange(count)
    return labels.reshape(space)


def _nearest(points: Array, centers: Array) -> Array:
    """The index of the nearest center of each point."""
    lengths, rows = (centers**2).sum(1), max(1, DISTANCES // len(centers))
    blocks = (points[first : first + rows] for first in range(0, len(points), rows))
    return np.concatenate([(lengths - 2 * block @ centers.T).argmin(1) for block in blocks])


def slic(image: Array, cells: tuple[int, ...]) -> Array:
    """Connected superpixels by scikit-image, about as many as there are cells."""
    skimage_slic = _scikit_image("slic").segmentation.slic
    value_range = max(np.ptp(image), 1e-12)
    scaled = ((image - image.min()) / value_range).astype("float64")
    labels = skimage_slic(
        scaled, n_segments=int(np.prod(cells)), compactness=COMPACTNESS, channel_axis=-1, convert2lab=False
    )
    return np.unique(labels, return_inverse=True)[1].reshape(image.shape[:-1])


def felzenszwalb(image: Array) -> list[Array]:
    """Segmentations (H, W) of an image (H, W, C) at six scales by scikit-image, as XRAI's authors make them.

    The image is scaled to -1..1 and resized to 224 x 224 pixels first, so that the scales fit.
    """
    skimage = _scikit_image("felzenszwalb")
    side = (FELZENSZWALB_SIDE, FELZENSZWALB_SIDE)
    scaled = 2 * (image - image.min()) / max(np.ptp(image), 1e-12) - 1
    options = {"mode": "constant", "preserve_range": True}
    scaled = skimage.transform.resize(scaled, side, order=3, anti_aliasing=True, **options)
    segmented = skimage.segmentation.felzenszwalb
    found = [segmented(scaled, scale=scale, sigma=0.8, min_size=150) for scale in FELZENSZWALB_SCALES]
    resized = [skimage.transform.resize(one, image.shape[:2], order=0, anti_aliasing=False, **options) for one in found]
    return [one.astype(int) for one in resized]


def _scikit_image(segments: str) -> Any:
    """scikit-image; ImportError where it is not installed."""
    try:
        import skimage.segmentation
        import skimage.transform
    except ImportError as error:
        raise ImportError(f"segments={segments!r} needs scikit-image: pip install scikit-image") from error
    return skimage


def equal_counts(labels: Array) -> Iterator[tuple[Array, int]]:
    """Pairs (indices of inputs with the same number of segments, this number).

    Coalitions are drawn separately for each number, so that no map depends on the segments of other inputs.
    """
    counts = labels.reshape(len(labels), -1).max(axis=1) + 1
    for count in np.unique(counts):
        yield np.flatnonzero(counts == count), int(count)


def coalition_scores(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    coalitions: Array,
    labels: Array,
    fill: Any,
    context: RunContext,
) -> Array:
    """The scores (N, M) of each input when only the segments of each coalition (M, segments) are kept."""

    table = coalitions.astype("float32")
    constants = (np.ascontiguousarray(labels, "int32"),)

    def rows(numbers: Array) -> list:
        return [table[numbers]]

    return chunk_scores(traced, inputs, targets, len(table), rows, segment_masks, constants, fill, context)


def segment_masks(inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """Masks (s, N, *space) that keep the share (s, segments) of each segment of the labels (N, *space)."""
    return ops.take(rows[0], constants[0], axis=1)


def validate_segments(traced: TracedModel, inputs: Array, *, segments: Any, cells: Any, fill: Any, **_: Any) -> None:
    """`Method.validate` of methods that hide segments: ValueError for segments or a fill that do not fit."""
    segment(inputs[:1], segments, cells)
    baseline_for(inputs[:1], fill)


def spread(values: Array, labels: Array) -> Array:
    """Maps (N, H, W) with the values (N, segments) at the pixels of each segment."""
    return np.stack([value[label] for value, label in zip(values, labels)]).astype("float32")


def _validated_labels(labels: Any, space: tuple[int, ...]) -> Array:
    """User-defined labels, renumbered from 0; ValueError if they do not fit."""
    array = np.asarray(labels)
    if array.shape != space or array.dtype.kind not in "iu":
        raise ValueError(
            f"segments of shape {array.shape} and type {array.dtype} do not fit; pass integers of shape {space}"
        )
    return np.unique(array, return_inverse=True)[1].reshape(space)


def _grid(space: tuple[int, ...], cells: tuple[int, ...]) -> Array:
    """The cell of each position in a regular grid, numbered row by row."""
    positions = [np.arange(side) * count // side for side, count in zip(space, cells)]
    return np.ravel_multi_index(np.meshgrid(*positions, indexing="ij"), cells)
