"""RISE: the mean of random masks, weighted by the scores of what they keep."""

import functools
import math
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import scipy
from keras import ops

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.attribution import map_shape, rows_of
from keras_actmaps.core.resize import interpolation
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Fraction, Gt, PerAxis, Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.core.warn import warn_user
from keras_actmaps.methods._baselines import Fill, baseline_for
from keras_actmaps.methods._masking import chunk_scores, per_axis
from keras_actmaps.methods.registry import Attribution, Method

BLOCK = 128  # samples after which the standard error is computed
MOST_DIMENSIONS = 1024
Tolerance = Annotated[Annotated[float, Gt(0)] | None, "largest standard error, as a share of the map's range"]


def rise(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    samples: Annotated[Count, "random masks, the same for all images; at most, if a tolerance is set"] = 2000,
    cells: Annotated[PerAxis, "cells of a mask along each axis"] = 7,
    probability: Annotated[Fraction, "probability that a cell is kept"] = 0.5,
    centred: Annotated[bool, "subtract the mean score; False is the paper's equation"] = True,
    fill: Fill = "zero",
    tolerance: Tolerance = None,
    seed: Seed = 0,
) -> Attribution:
    """S(p) = sum_i (Y(M_i x) - m) M_i(p) / (samples * probability) (Petsiuk et al. 2018, eq. 6).

    For the masks M_i see `mask_tables`. The paper uses probabilities and m = 0. For logits, whose zero is arbitrary, m
    is the mean score, and S is positive where keeping the pixel raises it: E[Y | p kept] - E[Y]. With a tolerance, each
    image takes only as many samples as it needs, see `_until`; without, all of them.
    """
    masks = mask_tables(inputs, samples, cells, probability, seed)
    if tolerance is not None:
        images = (slice(row, row + 1) for row in range(len(inputs)))
        found = [
            _until(tolerance, traced, inputs[one], rows_of(targets, one), masks, samples, fill, centred, context)
            for one in images
        ]
        maps, counts = map(np.stack, zip(*found))
        context.report_facts(samples=counts)
        return Attribution((maps / probability).astype("float32"))
    scores = chunk_scores(traced, inputs, targets, samples, masks[0], enlarged_masks, masks[1], fill, context)
    if centred:
        scores -= scores.mean(axis=1, keepdims=True)
    maps = np.zeros(inputs.shape[:1] + map_shape(inputs))
    for first in range(0, samples, context.batch_size):
        maps += _weighted(scores, masks, np.arange(first, min(first + context.batch_size, samples)))
    return Attribution((maps / (samples * probability)).astype("float32"))


def _weighted(scores: Array, masks: tuple, numbers: Array, power: int = 1) -> Array:
    """sum_i s_i M_i^power over the masks with these numbers, for scores (N, samples)."""
    rows, tables = masks
    kept = enlarged_masks(None, rows(numbers), tables)[:, 0] ** power
    return to_numpy(ops.tensordot(ops.cast(scores[:, numbers], "float32"), kept, axes=1))


def _until(
    tolerance: float,
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    masks: tuple,
    samples: int,
    fill: Any,
    centred: bool,
    context: RunContext,
) -> tuple[Array, int]:
    """The map of one image with the fewest samples of which the largest standard error is within the tolerance.

    The error of S(p) is the standard deviation of (Y - m) M(p) divided by the square root of the number of samples,
    relative to the range of S. It is computed after every 128 samples, from sums of M, Y M and Y^2 M^2 and their like,
    with scores relative to the first, so that float32 sums suffice; as samples of a quasi-random sequence vary less
    than independent ones, it is an upper bound.
    """
    scores, sums = np.empty((1, 0)), np.zeros((5, *map_shape(inputs)))
    for first in range(0, samples, BLOCK):
        count = min(BLOCK, samples - first)
        rows = functools.partial(_later, masks[0], first)
        block = chunk_scores(traced, inputs, targets, count, rows, enlarged_masks, masks[1], fill, context)
        scores = np.concatenate([scores, block], axis=1)
        relative = scores - scores[0, 0]
        numbers, powers = np.arange(first, first + count), np.concatenate([relative**power for power in range(3)])
        sums[:2] += _weighted(powers[:2], masks, numbers)
        sums[2:] += _weighted(powers, masks, numbers, power=2)
        total, mean = scores.shape[1], relative.mean() if centred else -scores[0, 0]
        maps = (sums[1] - mean * sums[0]) / total
        variances = (sums[4] - 2 * mean * sums[3] + mean**2 * sums[2]) / total - maps**2
        if np.sqrt(max(variances.max(), 0) / total) <= tolerance * np.ptp(maps):
            return maps, total
    warn_user(f"rise: tolerance={tolerance} is not reached in {samples} samples")
    return maps, samples


def _later(rows: Callable[[Array], list], first: int, numbers: Array) -> list:
    return rows(first + numbers)


def _validate(traced: TracedModel, inputs: Array, *, cells: Any, fill: Any, **_: Any) -> None:
    per_axis("cells", cells, map_shape(inputs))
    baseline_for(inputs[:1], fill)


def mask_tables(
    inputs: Array, samples: int, cells: Any, probability: float, seed: int
) -> tuple[Callable[[Array], list], tuple]:
    """The rows (grids and corners) and the tables of `enlarged_masks` (Petsiuk et al. 2018, section 3.2).

    A grid of `cells`, each 1 with `probability`, is enlarged bilinearly to one cell more than the image and cropped at
    a random position, so that every pixel's expectation is `probability`. For tabular inputs, each feature is a cell.
    Cells and positions are a scrambled Sobol sequence of up to 1024 dimensions: each cell is kept in the same share of
    any 2^k samples, which reaches the same map with about a quarter of the samples of independent numbers.
    """
    space = map_shape(inputs)
    grid = space if inputs.ndim == 2 else tuple(map(min, per_axis("cells", cells, space), space))
    cell = [-(-side // count) for side, count in zip(space, grid)]
    uniform = _uniform(samples, math.prod(grid) + len(space), seed)
    grids = (uniform[:, len(space) :] < probability).astype("float32").reshape(samples, *grid)
    corners = (uniform[:, : len(space)] * cell).astype("int32")
    tables = (
        np.stack([interpolation(count, (count + 1) * step)[first : first + side] for first in range(step)])
        for side, count, step in zip(space, grid, cell)
    )
    return (lambda numbers: [grids[numbers], corners[numbers]]), () if inputs.ndim == 2 else tuple(tables)


def _uniform(samples: int, dimensions: int, seed: int) -> Array:
    """Numbers (samples, dimensions) in [0, 1) of a scrambled Sobol sequence, or independent ones of more dimensions."""
    random = np.random.default_rng(seed)
    if dimensions > MOST_DIMENSIONS:
        return random.random((samples, dimensions))
    return scipy.stats.qmc.Sobol(dimensions, seed=random).random_base2((samples - 1).bit_length())[:samples]


def enlarged_masks(inputs: Any, rows: Any, tables: Any) -> Tensor:
    """The masks (s, 1, H, W) of grids (s, h, w) and corners (s, axes); tables: for each corner the resizing (H, h)."""
    kept, corners = map(ops.convert_to_tensor, rows)
    for axis, table in enumerate(tables):
        weights = ops.take(table, corners[:, axis], axis=0)
        moved = ops.moveaxis(kept, axis + 1, -1)
        enlarged = ops.matmul(
            ops.reshape(moved, (moved.shape[0], -1, moved.shape[-1])), ops.transpose(weights, (0, 2, 1))
        )
        kept = ops.moveaxis(ops.reshape(enlarged, (*moved.shape[:-1], weights.shape[1])), -1, axis + 1)
    return kept[:, None]


METHOD = Method(
    name="rise",
    function=rise,
    single_pass=False,
    validate=_validate,
    summary="The mean score of the images in which a pixel is kept",
    paper="Petsiuk et al. 2018, eq. 6",
    cost="`samples` forward passes; with a tolerance fewer.",
    limitations="noisy with few samples; cannot resolve details smaller than a cell.",
)
