"""RISE: the mean of random masks, weighted by the scores of what they keep."""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from keras_actmaps.core.attribution import map_shape
from keras_actmaps.core.resize import resize
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Fraction, PerAxis, Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods._baselines import Fill, baseline_for
from keras_actmaps.methods._masking import masked_scores, per_axis
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

    For the masks M_i see `random_masks`. The paper uses probabilities and m = 0. For logits, whose zero is arbitrary, m
    is the mean score, and S is positive where keeping the pixel raises it: E[Y | p kept] - E[Y].
    """
    masks = random_masks(inputs, samples, cells, probability, seed)
    scores = masked_scores(traced, inputs, targets, samples, lambda _, sample: masks(sample), fill, context)
    if centred:
        scores -= scores.mean(axis=1, keepdims=True)
    maps = np.zeros(inputs.shape[:1] + map_shape(inputs))
    for first in range(0, samples, context.batch_size):
        block = np.arange(first, min(first + context.batch_size, samples))
        maps += np.tensordot(scores[:, block], masks(block), axes=1)
    return Attribution((maps / (samples * probability)).astype("float32"))


def _validate(traced: TracedModel, inputs: Array, *, cells: Any, fill: Any, **_: Any) -> None:
    per_axis("cells", cells, map_shape(inputs))
    baseline_for(inputs[:1], fill)


def random_masks(inputs: Array, samples: int, cells: Any, probability: float, seed: int) -> Callable[[Array], Array]:
    """A function from mask numbers (M,) to these masks (M, H, W) (Petsiuk et al. 2018, section 3.2).

    A grid of `cells`, each 1 with `probability`, is enlarged bilinearly to one cell more than the image and cropped at
    a random position, so that every pixel's expectation is `probability`. For tabular inputs, each feature is a cell.
    """
    space = map_shape(inputs)
    grid = space if inputs.ndim == 2 else tuple(map(min, per_axis("cells", cells, space), space))
    cell = np.array([-(-side // count) for side, count in zip(space, grid)])
    large = space if inputs.ndim == 2 else tuple((np.array(grid) + 1) * cell)
    random = np.random.default_rng(seed)
    grids = (random.random((samples, *grid)) < probability).astype("float32")
    corners = random.integers(0, cell, (samples, len(space)))

    def masks(numbers: Array) -> Array:
        numbers, index = np.unique(numbers, return_inverse=True)
        enlarged = resize(grids[numbers], large)
        crops = (
            mask[tuple(slice(first, first + side) for first, side in zip(corner, space))]
            for mask, corner in zip(enlarged, corners[numbers])
        )
        return np.stack(list(crops))[index]

    return masks


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
