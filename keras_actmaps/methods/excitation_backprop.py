"""Excitation backprop: the probability that a position excites the target, in a walk from neuron to neuron."""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.graph import Graph, Node, carrying, run_backward, run_nodes
from keras_actmaps.core.layer_types import describe_node, layer_type, operation_name
from keras_actmaps.core.linear import Linear, linearize
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Slot, Tensor
from keras_actmaps.methods.lrp import score_gradients
from keras_actmaps.methods.registry import Attribution, Method
from keras_actmaps.methods.rules import lrp
from keras_actmaps.methods.rules.lrp_rules import LayerState, Parameters, propagate, ratio
from keras_actmaps.methods.rules.node_rules import NODE_RULES, Passage, floating_function

TYPES = ("affine", "activation", "rearrange", "max", "masking", "product")  # without a kernel, besides sums
PARAMETERS = Parameters(bias=False)


def excitation_backprop(
    traced: TracedModel,
    inputs: Tensor,
    targets: Any,
    *,
    contrastive: Annotated[bool, "less the probability for a unit with the opposite weights"] = False,
) -> Attribution:
    """P(a_i) = sum_j P(a_j) a_i w_ij+ / sum_k a_k w_kj+, from P = 1 at the target (Zhang et al. 2016, eq. 1 and 2).

    The marginal winning probability of each neuron of the layer, summed over channels. Negative activations, which the
    paper excludes, cannot win, and biases take no share.

    Parameters
    ----------
    contrastive : bool
        Subtract the probabilities that a dual unit gives, whose weights in the top layer with a kernel are those of the
        target times -1 (section 3.3). They are negative where the image speaks against the target; the paper shows
        the positive part.

    Raises
    ------
    ValueError
        For a layer behind the explained one that is neither a kernel, a sum, a maximum nor an elementwise function.

    Notes
    -----
    Probabilities sum to 1, or to 0 if contrastive. The residual is what is lost at neurons that no input excites, and
    what bypasses the layer. A target of several outputs starts at each by its weight; negative weights start at the
    dual unit.
    """
    graph, slot = _graph(traced)
    values = run_nodes(graph.nodes, traced.start(inputs))
    outputs, gradients = score_gradients(traced, graph, values, targets)
    total = sum(_sum(ops.abs(gradient)) for gradient in gradients.values())
    start = {
        key: ops.divide_no_nan(part, ops.reshape(total, (-1, *(1,) * (len(part.shape) - 1))))
        for key, part in gradients.items()
    }
    arrived = _walk(graph, slot, values, start, contrastive)
    found = arrived[slot] if slot in arrived else ops.zeros_like(values[slot])
    return Attribution(ops.sum(found, axis=-1), outputs)


def _graph(traced: TracedModel) -> tuple[Graph, Slot]:
    """The linearized graph, and the slot of the layer."""
    slot = traced.graph.slot_of[traced.require_one_layer("excitation_backprop")]
    return linearize(traced.require_graph(), keep=[slot]), slot


def _behind(graph: Graph, slot: Slot) -> list[Node]:
    """The nodes from a slot to the outputs."""
    carried = carrying(graph)
    return [node for node in graph.descendants([slot]) if node in carried]


def _walk(
    graph: Graph, slot: Slot, values: Mapping[Slot, Tensor], start: Mapping[Slot, Tensor], contrastive: bool
) -> dict[Slot, Tensor]:
    """The probabilities at the slots behind the layer and at its own; negative ones belong to dual units."""
    nodes = _behind(graph, slot)
    top = set(map(id, _top_kernels(graph, nodes)))

    def visit(node: Node, arrived: list) -> list:
        arrived = [ops.zeros_like(values[key]) if part is None else part for key, part in zip(node.writes, arrived)]
        if isinstance(node.operation, Linear):
            (x,), (p,) = [ops.relu(values[key]) for key in node.floating], arrived
            if id(node) not in top:
                return [_excited(node.operation, x, p)]
            if contrastive:
                return [_excited(node.operation, x, p) - _excited(node.operation, x, p, -1.0)]
            return [_excited(node.operation, x, ops.relu(p)) + _excited(node.operation, x, ops.relu(-p), -1.0)]
        passage = Passage(graph, node, values, arrived, "z+", PARAMETERS)
        kind = layer_type(node)
        return _by_positive_share(passage) if kind == "sum" else NODE_RULES[lrp.RULE_OF_TYPE[str(kind)]](passage)

    return run_backward(nodes, start, visit)


def _excited(linear: Linear, x: Tensor, p: Tensor, sign: float = 1.0) -> Tensor:
    """The probabilities of the inputs of a layer with a kernel, times `sign`, from those of its outputs."""
    kernel, bias = linear.weights(x)
    state = LayerState(x, sign * kernel, bias, p, x, x, is_nonnegative=True)
    return propagate(linear, state, p, "z+", PARAMETERS)


def _by_positive_share(passage: Passage) -> list:
    """P_i = sum_j w_ij a_i / (sum_k w_kj a_k) P_j of a layer with constant weights, as average pooling."""
    positive = [ops.relu(x) for x in passage.floating]
    z, backward = backend.vjp(floating_function(passage.node, passage.values), positive)
    parts = backward([ratio(part, y, 0.0) for part, y in zip(passage.relevance, z)])
    return passage.to_reads([x * part for x, part in zip(positive, parts)])


def _top_kernels(graph: Graph, nodes: list[Node]) -> list[Node]:
    """The layers with a kernel behind which there is no other one."""
    kernels = [node for node in nodes if isinstance(node.operation, Linear)]
    return [node for node in kernels if not set(kernels).intersection(graph.descendants(node.writes))]


def _sum(values: Tensor) -> Tensor:
    """The sum of each row."""
    return ops.sum(ops.reshape(values, (values.shape[0], -1)), axis=1)


def _validate(traced: TracedModel, inputs: Array, *, contrastive: bool) -> None:
    graph, slot = _graph(traced)
    nodes = _behind(graph, slot)
    for node in nodes:
        kind = layer_type(node)
        if kind not in ("linear", "sum", *TYPES) or operation_name(node.operation) == "Subtract":
            raise ValueError(
                f"excitation_backprop has no probabilities for layer {describe_node(node)}; layercam takes any layer"
            )
    if contrastive and not _top_kernels(graph, nodes):
        raise ValueError(
            f"contrastive needs a layer with a kernel between {traced.layer} and the outputs, whose weights are negated"
        )


def _total(
    traced: TracedModel, inputs: Array, targets: Any, scores: Array, settings: Mapping[str, Any], context: RunContext
) -> Array:
    """1, or 0 if contrastive."""
    return np.full(len(scores), 0.0 if settings["contrastive"] else 1.0, "float32")


METHOD = Method(
    name="excitation_backprop",
    function=excitation_backprop,
    level="layer",
    validate=_validate,
    total=_total,
    needs=frozenset({"gradients", "graph", "spatial_layer"}),
    summary="The probability that the target is excited from each position of a layer",
    paper="Zhang et al. 2016, eq. 1 and 2",
    cost="one forward pass, and one pass through the layers behind the layer backward.",
    limitations="depends little on the target unless contrastive; made for activations that are not negative.",
)
