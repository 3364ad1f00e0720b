"""RISE: the mean of random masks, weighted by the scores of what they keep."""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from keras import ops

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.attribution import map_shape
from keras_actmaps.core.resize import interpolation
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Fraction, PerAxis, Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._baselines import Fill, baseline_for
from keras_actmaps.methods._masking import chunk_scores, per_axis
from keras_actmaps.methods.registry import Attribution, Method


def rise(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    samples: Annotated[Count, "random masks, the same for all images; 4000 to 8000 in the paper"] = 2000,
    cells: Annotated[PerAxis, "cells of a mask along each axis"] = 7,
    probability: Annotated[Fraction, "probability that a cell is kept"] = 0.5,
    centred: Annotated[bool, "subtract the mean score; False is the paper's equation"] = True,
    fill: Fill = "zero",
    seed: Seed = 0,
) -> Attribution:
    """S(p) = sum_i (Y(M_i x) - m) M_i(p) / (samples * probability) (Petsiuk et al. 2018, eq. 6).

    For the masks M_i see `mask_tables`. The paper uses probabilities and m = 0. For logits, whose zero is arbitrary, m
    is the mean score, and S is positive where keeping the pixel raises it: E[Y | p kept] - E[Y].
    """
    rows, tables = mask_tables(inputs, samples, cells, probability, seed)
    scores = chunk_scores(traced, inputs, targets, samples, rows, enlarged_masks, tables, fill, context)
    if centred:
        scores -= scores.mean(axis=1, keepdims=True)
    maps = np.zeros(inputs.shape[:1] + map_shape(inputs))
    for first in range(0, samples, context.batch_size):
        block = np.arange(first, min(first + context.batch_size, samples))
        masks = enlarged_masks(None, rows(block), tables)[:, 0]
        maps += to_numpy(ops.tensordot(ops.cast(scores[:, block], "float32"), masks, axes=1))
    return Attribution((maps / (samples * probability)).astype("float32"))


def _validate(traced: TracedModel, inputs: Array, *, cells: Any, fill: Any, **_: Any) -> None:
    per_axis("cells", cells, map_shape(inputs))
    baseline_for(inputs[:1], fill)


def mask_tables(
    inputs: Array, samples: int, cells: Any, probability: float, seed: int
) -> tuple[Callable[[Array], list], tuple]:
    """The rows (grids and corners) and the tables of `enlarged_masks` (Petsiuk et al. 2018, section 3.2).

    A grid of `cells`, each 1 with `probability`, is enlarged bilinearly to one cell more than the image and cropped at
    a random position, so that every pixel's expectation is `probability`. For tabular inputs, each feature is a cell.
    """
    space = map_shape(inputs)
    grid = space if inputs.ndim == 2 else tuple(map(min, per_axis("cells", cells, space), space))
    cell = [-(-side // count) for side, count in zip(space, grid)]
    random = np.random.default_rng(seed)
    grids = (random.random((samples, *grid)) < probability).astype("float32")
    corners = random.integers(0, cell, (samples, len(space))).astype("int32")
    tables = (
        np.stack([interpolation(count, (count + 1) * step)[first : first + side] for first in range(step)])
        for side, count, step in zip(space, grid, cell)
    )
    return (lambda numbers: [grids[numbers], corners[numbers]]), () if inputs.ndim == 2 else tuple(tables)


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
    cost="`samples` forward passes.",
    limitations="noisy with few samples; cannot resolve details smaller than a cell.",
)
