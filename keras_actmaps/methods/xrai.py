"""XRAI: regions of an image in the order of their mean attribution."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from scipy.ndimage import binary_dilation

from keras_actmaps.core.attribution import map_shape
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Ge, Lt, show
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods._baselines import Baseline, baseline_for
from keras_actmaps.methods._paths import Path, integrate
from keras_actmaps.methods._segments import felzenszwalb, segment
from keras_actmaps.methods.registry import Attribution, Method

Regions = Annotated[
    Literal["superpixels", "slic", "grid", "felzenszwalb"] | np.ndarray | Callable,
    "superpixels, scikit-image's slic or a grid, each of several sizes, scikit-image's felzenszwalb, labels (H, W), "
    "boolean masks (M, H, W), which may overlap, or a function from an image to either",
]


def xrai(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    baseline: Annotated[
        Literal["min_and_max"] | Baseline,
        "start of the paths: the mean over the smallest and the largest value of the input, or one baseline",
    ] = "min_and_max",
    steps: Annotated[Count, "nodes of the quadrature for each baseline"] = 64,
    segments: Regions = "superpixels",
    scales: Annotated[tuple[Count, ...], "segments along each axis, a segmentation for each number"] = (3, 5, 8, 12),
    dilation: Annotated[float, Ge(0), Lt(1), "growth of the segments, as a share of the longest side"] = 0.022,
    min_area: Annotated[float, Ge(0), Lt(1), "share of the pixels that a region must add"] = 0.001,
    ranking: Annotated[Literal["full", "fast"], "whether regions are ranked again after each choice"] = "full",
) -> Attribution:
    """The mean integrated gradients of the pixels that each region adds (Kapishnikov et al. 2019, algorithm 1).

    Regions are added in the order of the mean attribution of the pixels that they add, which is the value of these
    pixels. Attributions are the mean over the baselines and, as in the authors' implementation, the largest over the
    channels; pixels that no region adds get the mean of their attributions. The paper segments by Felzenszwalb's
    algorithm and grows the segments by 5 of 224 pixels.
    """
    starts = _starts(inputs, baseline)
    reported = replace(context, report=lambda done, total: context.report(done, total and len(starts) * total))
    paths = [Path(traced, inputs, start, targets, reported) for start in starts]
    attributions = np.mean([integrate(path, steps) for path in paths], axis=0)
    if inputs.ndim > 2:
        attributions = attributions.max(axis=-1)
    least = max(1, round(min_area * attributions[0].size))
    masks = (_masks(image, segments, scales, dilation) for image in inputs)
    maps = [rank_regions(values, regions, least, ranking) for values, regions in zip(attributions, masks)]
    return Attribution(np.stack(maps).astype("float32"))


def _starts(inputs: Array, baseline: Any) -> list[Array]:
    """The starts of the paths, each of the shape of the inputs."""
    if not (isinstance(baseline, str) and baseline == "min_and_max"):
        return [baseline_for(inputs, baseline)]
    axes = tuple(range(1, inputs.ndim))
    return [np.broadcast_to(extreme(inputs, axes, keepdims=True), inputs.shape) for extreme in (np.min, np.max)]


def rank_regions(attributions: Array, masks: Array, least: int, ranking: str = "full") -> Array:
    """The map (H, W) of attributions (H, W) by region.

    Parameters
    ----------
    masks : bool array of shape (M, H, W)
    least : int
        Number of pixels that a region must add.
    ranking : {"full", "fast"}
        "full" ranks the regions by what they add to those before, "fast" once by their mean attribution.
    """
    values, masks = attributions.ravel(), masks.reshape(len(masks), -1)
    choose = _by_gain if ranking == "full" else _by_mean
    result, left = np.zeros(values.size), np.ones(values.size, bool)
    for mask in choose(values, masks, least):
        added = mask & left
        if added.sum() >= least:
            result[added] = values[added].mean()
            left &= ~added
    if left.any():
        result[left] = values[left].mean()
    return result.reshape(attributions.shape)


def _by_gain(values: Array, masks: Array, least: int) -> Iterator[Array]:
    """The masks by the mean value of the pixels that each adds to those before; the first one of equals."""
    counts, sums = masks.sum(axis=1), masks @ values
    left = np.ones(values.size, bool)
    while True:
        fits = counts >= least
        if not fits.any():
            return
        best = int(np.argmax(np.where(fits, sums / np.maximum(counts, 1), -np.inf)))
        yield masks[best]
        added = np.flatnonzero(masks[best] & left)
        left[added] = False
        counts = counts - masks[:, added].sum(axis=1)
        sums = sums - masks[:, added] @ values[added]


def _by_mean(values: Array, masks: Array, least: int) -> Iterator[Array]:
    """The masks by the mean value of their pixels."""
    counts = masks.sum(axis=1)
    means = np.where(counts > 0, masks @ values / np.maximum(counts, 1), -np.inf)
    return iter(masks[np.argsort(-means, kind="stable")])


def _masks(image: Array, segments: Any, scales: tuple[int, ...], dilation: float) -> Array:
    """The regions (M, H, W) of an image, of which none is empty; those of a user are not grown."""
    if not isinstance(segments, str):
        return _own_masks(segments(image) if callable(segments) else segments, image)
    if segments == "felzenszwalb":
        labels = felzenszwalb(image)
    else:
        sides = map_shape(image[None])
        grids = dict.fromkeys(tuple(min(scale, side) for side in sides) for scale in scales)
        labels = [segment(image[None], segments, cells)[0] for cells in grids]
    masks = np.concatenate([one == np.unique(one).reshape(-1, *(1,) * one.ndim) for one in labels])
    radius = round(dilation * max(masks.shape[1:])) if image.ndim > 1 else 0
    if radius:
        positions = np.indices((2 * radius + 1,) * (masks.ndim - 1)) - radius
        ball = (positions**2).sum(axis=0) <= radius**2
        masks = np.stack([binary_dilation(mask, ball) for mask in masks])
    return masks


def _own_masks(regions: Any, image: Array) -> Array:
    """User-defined labels or masks as masks; ValueError if they do not fit."""
    array, space = np.asarray(regions), map_shape(image[None])
    if array.dtype == bool and array.ndim == len(space) + 1 and array.shape[1:] == space and array.any():
        return array[array.reshape(len(array), -1).any(axis=1)]
    if array.dtype.kind in "iu" and array.shape == space:
        return array == np.unique(array).reshape(-1, *(1,) * array.ndim)
    raise ValueError(
        f"segments of shape {array.shape} and type {array.dtype} do not fit; pass integer labels of shape {space} or "
        f"boolean masks of shape (M, {', '.join(map(str, space))}), of which one is not empty"
    )


def _validate(
    traced: TracedModel, inputs: Array, *, baseline: Any, segments: Any, scales: tuple[int, ...], **_: Any
) -> None:
    _starts(inputs[:1], baseline)
    if not scales:
        raise ValueError(f"scales must have at least one number, got {show(scales)}")
    if isinstance(segments, str) and segments == "felzenszwalb" and inputs.ndim != 4:
        raise ValueError(
            f"segments='felzenszwalb' needs images (H, W, C), not inputs of shape {inputs.shape[1:]}; use 'superpixels'"
        )
    if not isinstance(segments, str) or segments in ("slic", "felzenszwalb"):
        _masks(inputs[0], segments, scales, 0.0)


METHOD = Method(
    name="xrai",
    function=xrai,
    single_pass=False,
    validate=_validate,
    needs=frozenset({"gradients"}),
    summary="The regions of the image that contribute most, ranked by their mean integrated gradients",
    paper="Kapishnikov et al. 2019, algorithm 1",
    cost="`steps` forward and backward passes for each of two baselines, and a segmentation.",
    limitations="depends on the segments and the baselines; all pixels of a region have one value.",
)
