"""Extremal perturbation: the smooth mask of a fixed area that maximizes the score."""

from typing import Annotated, Any

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.attribution import map_shape
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Fraction, PerAxis, Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._baselines import Fill, baseline_for
from keras_actmaps.methods._masking import per_axis
from keras_actmaps.methods.registry import Attribution, Method

RATE = 0.2  # step size of the ascent
LIGHTEST, HEAVIEST = 0.1, 100.0  # weight of the area, in the first and in the last step
NOISE = 0.1  # standard deviation of the initial logits
SHARPNESS = 20.0  # of the smooth maximum
EDGE = 0.5  # standard deviation of the edge of a cell, in cells


def extremal_perturbation(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    area: Annotated[Fraction, "share of the image that is kept"] = 0.1,
    steps: Annotated[Count, "steps of the ascent"] = 200,
    cells: Annotated[PerAxis, "cells of the mask along each axis"] = 14,
    fill: Fill = "blur",
    seed: Seed = 0,
) -> Attribution:
    """m = argmax Y(m x + (1 - m) x0) - w |sort(m) - r|^2 (Fong et al. 2019, section 3).

    r is 0 but for a share `area` of ones, and w grows from step to step. The mask m is a grid of cells, enlarged by
    `smooth_mask`. Unlike in the paper, the ascent is on the logits of the cells, and the gradient of Y is divided by
    its maximum, so that the scale of Y does not matter. The seed is that of the initial noise, which
    breaks ties between cells.
    """
    space = map_shape(inputs)
    grid = space if inputs.ndim == 2 else tuple(map(min, per_axis("cells", cells, space), space))
    noise = np.random.default_rng(seed).normal(0, NOISE, grid).astype("float32")
    logits = ops.convert_to_tensor(np.tile(noise, (len(inputs), *(1,) * len(grid))))
    hidden = ops.convert_to_tensor(np.ascontiguousarray(baseline_for(inputs, fill)))
    images = ops.convert_to_tensor(inputs)
    for weight in np.geomspace(LIGHTEST, HEAVIEST, steps, dtype="float32"):
        logits, _, _ = traced.run(_step, images, targets, hidden, weight, logits, context=context, area=area)
        context.report(len(images), len(images) * steps)
    return Attribution(smooth_mask(ops.sigmoid(logits), space))


def _validate(traced: TracedModel, inputs: Array, *, cells: Any, fill: Any, **_: Any) -> None:
    per_axis("cells", cells, map_shape(inputs))
    baseline_for(inputs[:1], fill)


def _step(
    traced: TracedModel, images: Tensor, targets: Any, hidden: Tensor, weight: Tensor, logits: Tensor, *, area: float
) -> Attribution:
    """The logits (N, h, w) of the cells after one step of the ascent."""
    space = map_shape(images)
    positions, count = int(np.prod(space)), int(np.prod(logits.shape[1:]))
    target_ranks = ops.cast(np.arange(positions) >= positions - max(1, round(area * positions)), "float32")

    def score(values: Tensor) -> tuple[Tensor, Any]:
        mask = smooth_mask(values, space)
        kept = ops.reshape(mask, (*mask.shape, *(1,) * (len(images.shape) - len(mask.shape))))
        outputs = traced.outputs(kept * images + (1 - kept) * hidden)
        return traced.score(outputs, targets), outputs

    def excess(values: Tensor) -> tuple[Tensor, None]:
        ranked = ops.sort(ops.reshape(smooth_mask(values, space), (-1, positions)), axis=-1)
        return count * ops.mean((ranked - target_ranks) ** 2, axis=-1), None

    values = ops.sigmoid(logits)
    (gain,), outputs = backend.gradients(score, [values])
    (loss,), _ = backend.gradients(excess, [values])
    largest = ops.max(ops.abs(gain), axis=tuple(range(1, len(gain.shape))), keepdims=True)
    return Attribution(logits + RATE * (gain / ops.maximum(largest, 1e-12) - weight * loss), outputs)


def smooth_mask(values: Tensor, space: tuple[int, ...]) -> Tensor:
    """The values (N, h, w) of a grid as masks (N, H, W): the smooth maximum, along each axis, of soft-edged cells."""
    if len(space) == 1 and values.shape[1] == space[0]:  # tabular features have no neighbors
        return values
    for axis, side in enumerate(space, start=1):
        reach = ops.convert_to_tensor(_reach(values.shape[axis], side))
        cells = ops.moveaxis(values, axis, -1)[..., None, :] * reach
        values = ops.moveaxis(ops.sum(cells * ops.softmax(SHARPNESS * cells, axis=-1), axis=-1), -1, axis)
    return values


def _reach(count: int, side: int) -> Array:
    """How much each of `side` positions belongs to each of `count` cells: 1 inside, a Gaussian edge outside."""
    positions = (np.arange(side) + 0.5) * count / side - 0.5
    outside = np.maximum(np.abs(positions[:, None] - np.arange(count)) - 0.5, 0)
    return np.exp(-0.5 * (outside / EDGE) ** 2).astype("float32")


METHOD = Method(
    name="extremal_perturbation",
    function=extremal_perturbation,
    single_pass=False,
    validate=_validate,
    needs=frozenset({"gradients"}),
    summary="The smooth mask, 0 to 1, of a fixed area that maximizes the score",
    paper="Fong et al. 2019, section 3",
    cost="`steps` forward and backward passes.",
    limitations="finds one good mask, not necessarily the best; too large an area includes irrelevant pixels.",
)
