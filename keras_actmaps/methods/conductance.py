"""Layer conductance: the share of integrated gradients that flows through each unit of a layer."""

from typing import Annotated, Any

import numpy as np
from keras import ops

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._baselines import PathStart, baseline_for, gain_over, validate_baseline
from keras_actmaps.methods.registry import Attribution, Method


def conductance(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    baseline: PathStart = "zero",
    steps: Annotated[Count, "pieces of the path"] = 64,
) -> Attribution:
    """S = int_0^1 dY/dA dA/da da along x0 + a (x - x0) (Dhamdhere et al. 2018, eq. 3), by the trapezoidal rule.

    S = sum_s (g_s + g_s+1) / 2 * (A_s+1 - A_s), with features A and gradients g = dY/dA at the ends of equal pieces of
    the path. The units sum to Y(x) - Y(x0) if all paths lead through the layer; the rest is in the residual.
    """
    start = np.ascontiguousarray(baseline_for(inputs, baseline), "float32")
    inputs, start = ops.convert_to_tensor(inputs), ops.convert_to_tensor(start)
    (features, gradients), _, _ = traced.run(_at, start, targets, context=context)
    state = features, gradients, ops.zeros_like(features)
    for step in range(1, steps + 1):
        position = np.full(1, step / steps, "float32")
        state, _, _ = traced.run(_step, inputs, targets, start, *state, position, context=context)
        context.report(len(inputs), len(inputs) * steps)
    return Attribution(to_numpy(state[2]))


def _at(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """The features (N, h, w, C) of the layer and the gradients at them."""
    return traced.map_at_layer(inputs, targets, lambda features, gradients: (features, gradients))


def _step(
    traced: TracedModel,
    inputs: Tensor,
    targets: Any,
    start: Tensor,
    features: Tensor,
    gradients: Tensor,
    total: Tensor,
    position: Tensor,
) -> Attribution:
    """Features and gradients at a position of the path, and the sum with the piece that ends there."""
    (new, new_gradients), outputs = _at(traced, start + position * (inputs - start), targets)
    return Attribution((new, new_gradients, total + (gradients + new_gradients) / 2 * (new - features)), outputs)


METHOD = Method(
    name="conductance",
    function=conductance,
    level="layer",
    single_pass=False,
    reduction="sum",
    validate=validate_baseline,
    total=gain_over("baseline"),
    needs=frozenset({"gradients", "graph", "spatial_layer"}),
    summary="The contribution of each unit of a layer to the score, relative to a baseline",
    paper="Dhamdhere et al. 2018, eq. 3",
    cost="`steps` + 1 forward passes, and as many backward passes to the layer.",
    limitations="depends on the baseline; less precise than integrated gradients where features jump.",
)
