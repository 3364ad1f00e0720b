"""DeepLIFT: the change of the score from a baseline, attributed to the change of each pixel."""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from keras import ops, tree

from keras_actmaps import backend
from keras_actmaps.core.graph import Node, run_backward, run_nodes
from keras_actmaps.core.layer_types import describe_node, layer_type
from keras_actmaps.core.rewrite import split_activations
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._baselines import Baseline, baseline_for, gain_over
from keras_actmaps.methods.registry import Attribution, Method

SMALL = 1e-6  # below this change of an activation's input, its gradient replaces the quotient
TOWARDS = 1e-4  # share of the way from baseline to input that breaks ties in the baseline


def deeplift(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    baseline: Annotated[Baseline, "reference input: zero, mean, blur, a number or an image"] = "zero",
) -> Attribution:
    """S = m (x - x0), the rescale rule of Shrikumar et al. 2017, section 3.5.2.

    The multiplier m of an activation is dy/dx as a quotient of changes, (y - y0) / (x - x0), and multipliers follow the
    chain rule. The map sums to Y(x) - Y(x0). Linear layers and products use the gradient at the midpoint, which is
    exact for them; max pooling attributes its change to the maximum of the input or, if greater, of the baseline.
    """
    start = np.ascontiguousarray(baseline_for(inputs, baseline))
    multipliers, _, _ = traced.run(_multipliers, inputs, targets, start, context=context)
    return Attribution(multipliers)


def _validate(traced: TracedModel, inputs: Array, *, baseline: Any) -> None:
    baseline_for(inputs[:1], baseline)
    for node in split_activations(traced.require_graph()).nodes:
        if layer_type(node) is None:
            raise ValueError(
                f"deeplift has no rule for layer {describe_node(node)}; integrated_gradients takes any layer"
            )


def _multipliers(traced: TracedModel, inputs: Tensor, targets: Any, start: Tensor) -> Attribution:
    """Multipliers times changes of the inputs, (N, ..., C)."""
    graph = split_activations(traced.folded)
    values, references = (run_nodes(graph.nodes, {graph.inputs[0]: x}) for x in (inputs, start))
    slots = tree.flatten(graph.outputs)
    outputs, before = ([ops.cast(part[slot], "float32") for slot in slots] for part in (values, references))
    packed = tree.pack_sequence_as(graph.outputs, outputs)
    chosen = targets if callable(targets) else traced.resolve(packed, targets)

    def score(*outputs: Tensor) -> list[Tensor]:
        return [traced.score(tree.pack_sequence_as(graph.outputs, list(outputs)), chosen)]

    (scores,), backward = backend.vjp(score, _midpoints(outputs, before))
    multipliers = dict(zip(slots, backward([ops.ones_like(scores)])))

    def rule(node: Node, arrived: list) -> list:
        x, x0 = ([part[slot] for slot in node.reads.values()] for part in (values, references))
        y, y0 = ([part[slot] for slot in node.writes] for part in (values, references))
        arrived = [ops.zeros_like(y) if m is None else m for y, m in zip(y, arrived)]
        propagate = {"activation": _rescale, "max": _by_winner}.get(layer_type(node) or "", _by_gradient)
        return propagate(
            lambda *tensors: tree.flatten(node(dict(zip(node.reads.values(), tensors)))), x, x0, y, y0, arrived
        )

    arrived = run_backward(graph.nodes, multipliers, rule)
    return Attribution(arrived[graph.inputs[0]] * (inputs - start), packed)


def _by_gradient(function: Callable, x: list, x0: list, y: list, y0: list, multipliers: list) -> list:
    """The gradient at the midpoint, which is exact for linear layers and products."""
    return backend.vjp(function, _midpoints(x, x0))[1](multipliers)


def _rescale(function: Callable, x: list, x0: list, y: list, y0: list, multipliers: list) -> list:
    """m (y - y0) / (x - x0), elementwise."""
    change = x[0] - x0[0]
    is_small = ops.abs(change) < SMALL
    quotient = multipliers[0] * (y[0] - y0[0]) / ops.where(is_small, 1.0, change)
    return [ops.where(is_small, _by_gradient(function, x, x0, y, y0, multipliers)[0], quotient)]


def _by_winner(function: Callable, x: list, x0: list, y: list, y0: list, multipliers: list) -> list:
    """A rise of the maximum goes to the argmax of x, a fall to that of x0; ties in x0 are broken by x."""
    near = [b + TOWARDS * (a - b) for a, b in zip(x, x0)]
    change = y[0] - y0[0]
    rises = backend.vjp(function, x)[1]([multipliers[0] * ops.maximum(change, 0.0)])
    falls = backend.vjp(function, near)[1]([multipliers[0] * ops.minimum(change, 0.0)])
    steps = [a - b for a, b in zip(x, x0)]
    return [(up + down) / ops.where(step == 0, 1.0, step) for up, down, step in zip(rises, falls, steps)]


def _midpoints(x: list, x0: list) -> list:
    return [(a + b) / 2 for a, b in zip(x, x0)]


METHOD = Method(
    name="deeplift",
    function=deeplift,
    single_pass=False,
    reduction="sum",
    validate=_validate,
    total=gain_over("baseline"),
    needs=frozenset({"gradients", "graph"}),
    summary="The contribution of each pixel to the score, relative to a baseline, by the rescale rule",
    paper="Shrikumar et al. 2017, section 3.5.2: rescale",
    cost="2 forward passes, of input and baseline, and 1 backward pass.",
    limitations="depends on the baseline, like integrated gradients; products are attributed by convention.",
)
