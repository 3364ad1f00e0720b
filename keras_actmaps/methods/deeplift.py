"""DeepLIFT: the change of the score from a baseline, attributed to the change of each pixel."""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from keras import ops, tree

from keras_actmaps import backend
from keras_actmaps.core.attention import find_attention
from keras_actmaps.core.graph import Graph, carrying, check_inputs_reached, is_floating, run_nodes
from keras_actmaps.core.layer_types import describe_node
from keras_actmaps.core.linear import dequantize
from keras_actmaps.core.rewrite import split_activations
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._baselines import Baseline, Baselines, baseline_for
from keras_actmaps.methods.registry import Attribution, Method
from keras_actmaps.methods.rules.deeplift_rules import has_rule, midpoints, propagate_multipliers


def deeplift(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    baseline: Annotated[Baseline | Baselines, "reference input: zero, mean, blur, a number or an image"] = "zero",
) -> Attribution:
    """S = m (x - x0), the rescale rule of Shrikumar et al. 2017, section 3.5.2.

    The multiplier m of an activation is dy/dx as a quotient of changes, (y - y0) / (x - x0), and multipliers follow the
    chain rule. The map sums to Y(x) - Y(x0). Linear layers and products use the gradient at the midpoint, which is
    exact for them; max pooling attributes its change to the maximum of the input or, if greater, of the baseline.
    Recurrent layers are propagated step by step. Layer, group, root-mean-square and unit normalization are products of
    deviations and scale, of which each gets its exact share of the change. A softmax is exp(x - log sum exp x), by
    rescale. Where the model computes a mask, the
    baseline is run under the mask of the input.
    """
    start = np.ascontiguousarray(baseline_for(inputs, baseline))
    values, _, _ = traced.run(contributions, inputs, targets, start, context=context)
    return Attribution(values)


def _validate(traced: TracedModel, inputs: Array, *, baseline: Any) -> None:
    baseline_for(inputs[:1], baseline)
    validate_layers(traced, "deeplift")


def validate_layers(traced: TracedModel, method: str) -> None:
    """ValueError for a layer without a rule, or an input that the outputs do not depend on."""
    graph = _graph(traced)
    check_inputs_reached(graph, method)
    inside = frozenset().union(*(one.inner for one in find_attention(graph)))
    for node in carrying(graph):
        if not has_rule(node, graph, inside):
            raise ValueError(
                f"{method} has no rule for layer {describe_node(node)}; integrated_gradients takes any layer"
            )


def _graph(traced: TracedModel) -> Graph:
    """The graph with activations as nodes and quantized layers by their kernels."""
    traced.require_graph()
    return dequantize(split_activations(traced.folded))


def _passes(traced: TracedModel, inputs: Tensor, start: Tensor) -> tuple[Graph, dict, dict]:
    """The graph and its values for the inputs and for the baseline, under the masks of the inputs."""
    graph = _graph(traced)
    values = run_nodes(graph.nodes, traced.start(inputs))
    references = traced.start(start)
    for node in graph.nodes:
        is_mask = not any(is_floating(values[slot].dtype) for slot in node.writes)
        references |= {slot: values[slot] for slot in node.writes} if is_mask else run_nodes([node], references)
    return graph, values, references


def contributions(traced: TracedModel, inputs: Tensor, targets: Any, start: Tensor) -> Attribution:
    """Multipliers times changes of the inputs, (N, ..., C)."""
    graph, values, references = _passes(traced, inputs, start)
    slots = tree.flatten(graph.outputs)
    outputs, before = ([ops.cast(part[slot], "float32") for slot in slots] for part in (values, references))
    packed = tree.pack_sequence_as(graph.outputs, outputs)
    chosen = targets if callable(targets) else traced.resolve(packed, targets)

    def score(*outputs: Tensor) -> list[Tensor]:
        return [traced.score(tree.pack_sequence_as(graph.outputs, list(outputs)), chosen)]

    (scores,), backward = backend.vjp(score, midpoints(outputs, before))
    start_at = dict(zip(slots, backward([ops.ones_like(scores)])))
    arrived = propagate_multipliers(graph, values, references, start_at)
    return Attribution(traced.at_inputs(arrived) * (inputs - start), packed)


def reference_scores(traced: TracedModel, inputs: Tensor, targets: Any, start: Tensor) -> Attribution:
    """The scores of the baseline, under the masks of the inputs."""
    graph, _, references = _passes(traced, inputs, start)
    outputs = tree.map_structure(lambda slot: ops.cast(references[slot], "float32"), graph.outputs)
    return Attribution(traced.score(outputs, targets), outputs)


def _total(
    traced: TracedModel, inputs: Array, targets: Any, scores: Array, settings: Mapping[str, Any], context: RunContext
) -> Array:
    """Y(x) - Y(x0)."""
    start = np.ascontiguousarray(baseline_for(inputs, settings["baseline"]))
    return scores - backend.to_numpy(traced.run(reference_scores, inputs, targets, start, context=context)[0])


METHOD = Method(
    name="deeplift",
    function=deeplift,
    multi_input=True,
    single_pass=False,
    reduction="sum",
    validate=_validate,
    total=_total,
    needs=frozenset({"gradients", "graph"}),
    summary="The contribution of each pixel to the score, relative to a baseline, by the rescale rule",
    paper="Shrikumar et al. 2017, section 3.5.2: rescale",
    cost="2 forward passes, of input and baseline, and 1 backward pass.",
    limitations="depends on the baseline, like integrated gradients; products are attributed by convention.",
)
