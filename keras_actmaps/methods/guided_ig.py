"""Guided integrated gradients: a path that changes first what the score is least sensitive to."""

from typing import Annotated, Any

import numpy as np
from keras import ops

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Ge, Le
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._baselines import PathStart, baseline_for, gain_over, validate_baseline
from keras_actmaps.methods.registry import Attribution, Method

ROUNDING = 1e-6  # of the distance from the baseline; smaller distances are rounding errors of float32


def guided_ig(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    baseline: PathStart = "zero",
    steps: Annotated[Count, "steps of the path, of equal L1 length"] = 200,
    fraction: Annotated[
        float, Ge(0.01), Le(1), "share of the features that move together, least gradients first"
    ] = 0.25,
    deviation: Annotated[
        float, Ge(0), Le(1), "how far a feature may be ahead of the straight path, or behind it"
    ] = 0.02,
) -> Attribution:
    """S = sum_s (x - x0) (a_s+1 - a_s) dY/dx (x0 + a_s (x - x0)) (Kapishnikov et al. 2021, algorithm 1).

    a_s is the position of each feature, a value of one channel of a pixel, on its way from the baseline to the input.
    In each step the features with the least absolute gradients move first, until the L1 distance from the input has
    shrunk by 1 / steps of the whole. No feature is further than `deviation` from the position of a straight path, so
    that 0 is integrated gradients, and 1 leaves the path free.
    """
    shape = inputs.shape
    start = np.ascontiguousarray(baseline_for(inputs, baseline), "float32")
    inputs, start = ops.convert_to_tensor(inputs), ops.convert_to_tensor(start)
    state = ops.zeros(shape), ops.zeros(shape)
    for step in range(1, steps + 1):
        ends = np.clip([step / steps - deviation, step / steps, step / steps + deviation], 0, 1).astype("float32")
        state, _, _ = traced.run(_step, inputs, targets, start, *state, ends, context=context, fraction=fraction)
        context.report(shape[0], shape[0] * steps)
    return Attribution(to_numpy(state[1]))


def _step(
    traced: TracedModel,
    inputs: Tensor,
    targets: Any,
    start: Tensor,
    positions: Tensor,
    total: Tensor,
    ends: Tensor,
    *,
    fraction: float,
) -> Attribution:
    """The positions (N, ...) after a step and the map so far; ends: least, mean and largest position after it."""
    difference = inputs - start
    gradients, outputs = traced.gradients(start + positions * difference, targets)
    flat = [ops.reshape(part, (inputs.shape[0], -1)) for part in (positions, gradients, difference)]
    moved = ops.reshape(moved_positions(flat[0], ops.abs(flat[1]), ops.abs(flat[2]), ends, fraction), inputs.shape)
    return Attribution((moved, total + difference * (moved - positions) * gradients), outputs)


def moved_positions(positions: Tensor, gradients: Tensor, lengths: Tensor, ends: Tensor, fraction: float) -> Tensor:
    """The positions (N, F) of features after a step, given their absolute gradients and the lengths of their ways.

    Features that are behind the least position are moved there. Then the quantile `fraction` of the gradients of
    those that are not at the largest position is moved there, and so on, the last one by as much as is needed.
    """
    least, mean, largest = ops.unstack(ends, 3)
    positions = ops.where(lengths > 0, ops.maximum(positions, least), largest)
    whole = ops.sum(lengths, axis=1, keepdims=True)
    infinite = ops.full_like(gradients, np.inf)
    gradients = ops.where(positions < largest, gradients, infinite)
    ordered, count = ops.sort(gradients, axis=1), gradients.shape[1]
    size = int(fraction * (count - 1)) + 1  # of a quantile that is one of the gradients

    def move(_: Any, state: tuple) -> tuple:
        positions, done = state
        ranks = ops.minimum(ops.sum(ops.cast(ordered <= done, "int32"), axis=1, keepdims=True) + size, count) - 1
        threshold = ops.take_along_axis(ordered, ranks, axis=1)
        is_chosen = (gradients <= threshold) & (gradients > done) & (gradients < infinite)
        missing = ops.sum(lengths * (mean - positions), axis=1, keepdims=True)
        missing = ops.where(missing > ROUNDING * whole, missing, ops.zeros_like(missing))
        way = ops.sum(ops.where(is_chosen, lengths * (largest - positions), 0.0), axis=1, keepdims=True)
        share = ops.minimum(missing / ops.where(way > 0, way, ops.ones_like(way)), 1.0)
        return ops.where(is_chosen, positions + share * (largest - positions), positions), threshold

    before_all = ops.full((gradients.shape[0], 1), -1.0)
    return ops.fori_loop(0, -(-count // size), move, (positions, before_all))[0]


METHOD = Method(
    name="guided_ig",
    function=guided_ig,
    multi_input=True,
    single_pass=False,
    reduction="sum",
    validate=validate_baseline,
    total=gain_over("baseline"),
    needs=frozenset({"gradients"}),
    summary="The contribution of each pixel to the score, along a path that avoids large gradients",
    paper="Kapishnikov et al. 2021, algorithm 1",
    cost="`steps` forward and backward passes, one after the other.",
    limitations="zero where the image equals the baseline; its sum is less precise than that of integrated gradients.",
)
