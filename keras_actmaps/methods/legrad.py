"""LeGrad: the gradients of each layer's own score with respect to its attention."""

from typing import Any

from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.attention import Attention, block_outputs
from keras_actmaps.core.graph import run_nodes
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Slot, Tensor
from keras_actmaps.methods._attention import Grid, Prefix, as_maps, tokens_of, with_heads
from keras_actmaps.methods.registry import Attribution, Method


def legrad(
    traced: TracedModel, inputs: Tensor, targets: Any, *, grid: Grid = None, prefix: Prefix = None
) -> Attribution:
    """M_j = mean over layers l, heads h and tokens i of relu(dY^l / dA^l_hij) (Bousselham et al. 2024, eq. 7 to 10).

    Y^l is the score of the tokens behind block l: what the layers behind the last block make of them. The map is not
    normalized.
    """
    tokens = tokens_of(traced, "legrad", grid, prefix)
    graph = traced.folded
    values = run_nodes(graph.nodes, traced.start(inputs))
    outputs = traced.run_to_outputs((), values)
    resolved = targets if callable(targets) else traced.resolve(outputs, targets)
    ends = block_outputs(traced.graph, list(tokens.attentions))
    head = graph.descendants([ends[-1]])

    def gradient(attention: Attention, end: Slot) -> Tensor:
        slot = attention.probabilities
        inside = graph.ancestors([end])
        block = [node for node in graph.descendants([slot]) if any(node is one for one in inside)]

        def function(shift: Tensor) -> tuple[Tensor, None]:
            at_end = run_nodes(block, values, {slot: shift})[end]
            return traced.score(traced.run_to_outputs(head, {**values, ends[-1]: at_end}), resolved), None

        return with_heads(backend.gradients(function, [ops.zeros_like(values[slot])])[0][0])

    found = [gradient(attention, end) for attention, end in zip(tokens.attentions, ends)]
    rows = [ops.mean(ops.relu(one), axis=(1, 2)) for one in found]
    return Attribution(as_maps(sum(rows) / len(rows), tokens), outputs)


def _validate(traced: TracedModel, inputs: Array, *, grid: Any, prefix: int | None) -> None:
    tokens_of(traced, "legrad", grid, prefix)


METHOD = Method(
    name="legrad",
    function=legrad,
    validate=_validate,
    needs=frozenset({"gradients", "graph", "attention"}),
    summary="Where each layer's attention would raise the score of its tokens",
    paper="Bousselham et al. 2024, eq. 7 to 10",
    cost="one forward pass, and one backward pass through each block and the head.",
    limitations="early layers are scored by a head that was trained for the last one; sensitivity, with no known sum.",
)
