"""Wrappers as the nodes that they stand for: Bidirectional as two recurrent layers, TimeDistributed as its layer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from keras import layers, ops

from keras_actmaps.core.graph import Graph, Node, make_node, single_input_node
from keras_actmaps.core.plain_layers import is_plain
from keras_actmaps.core.types import Slot, Tensor

MERGES = {
    "concat": layers.Concatenate,
    "sum": layers.Add,
    "ave": layers.Average,
    "mul": layers.Multiply,
}


@dataclass(frozen=True, eq=False)
class Rearranged:
    """A function that moves the elements of a tensor to other positions, or leaves them where they are."""

    function: Callable

    def __call__(self, x: Tensor, *masks: Tensor) -> Tensor:
        return self.function(x, *masks)


def expand_wrappers(graph: Graph) -> Graph:
    """The graph without Bidirectional and TimeDistributed, where these can be written as other nodes."""
    shapes = dict(graph.shapes)
    nodes = [part for node in graph.nodes for part in _expanded(node, shapes)]
    return replace(graph, nodes=tuple(nodes), shapes=shapes)


def _expanded(node: Node, shapes: dict) -> list[Node]:
    """A node, or the nodes that it stands for, wrappers inside wrappers included."""
    expand = next((expand for can, expand in EXPANSIONS if can(node, shapes)), None)
    return [node] if expand is None else [part for one in expand(node, shapes) for part in _expanded(one, shapes)]


def _is_bidirectional(node: Node, shapes: dict) -> bool:
    layer = node.operation
    has_states = node.arguments.kwargs.get("initial_state") is not None or len(node.arguments.args) > 1
    return is_plain(layer, (layers.Bidirectional,)) and not layer.return_state and not has_states


def _two_directions(node: Node, shapes: dict) -> list[Node]:
    """A layer in each direction, the outputs of the second in the order of time, and the merge of both."""
    layer = node.operation
    pair, merge = (layer.forward_layer, layer.backward_layer), layer.merge_mode
    shape = shapes[node.writes[0]]
    slots, nodes = [], []
    for one in pair:
        written = _new_slot(shapes, (*shape[:-1], one.cell.output_size))
        nodes.append(replace(node, path=f"{node.path}/{one.name}", operation=one, writes=(written,)))
        slots.append(written)
    if layer.return_sequences:
        turned, flip = _new_slot(shapes, shapes[slots[1]]), Rearranged(lambda x: ops.flip(x, axis=1))
        nodes.append(single_input_node(f"{node.path}/flip", flip, slots[1], (turned,), shapes))
        slots[1] = turned
    if merge is None:
        return _renamed(nodes, dict(zip(slots, node.writes)))
    return [*nodes, make_node(f"{node.path}/{merge}", MERGES[merge](), slots, node.writes, shapes)]


def _renamed(nodes: list[Node], names: dict[Slot, Slot]) -> list[Node]:
    """The nodes, with other slots to write to."""
    return [replace(node, writes=tuple(names.get(slot, slot) for slot in node.writes)) for node in nodes]


def _is_time_distributed(node: Node, shapes: dict) -> bool:
    layer = node.operation
    if not is_plain(layer, (layers.TimeDistributed,)) or len(node.reads) != 1 or len(node.writes) != 1:
        return False
    inner = layer.layer
    read, written = shapes[next(iter(node.reads.values()))], shapes[node.writes[0]]
    is_simple = is_plain(inner, (layers.Layer,)) and not hasattr(inner, "layers") and not hasattr(inner, "cell")
    return is_simple and None not in (*read[1:], *written[1:])


def over_time(node: Node, shapes: dict) -> list[Node]:
    """The layer on the steps of all sequences as one batch."""
    (read,) = node.reads.values()
    before, after = shapes[read], shapes[node.writes[0]]
    flat, out = _new_slot(shapes, (None, *before[2:])), _new_slot(shapes, (None, *after[2:]))
    inner: Any = node.operation.layer
    to_batch = Rearranged(lambda x: ops.reshape(x, (-1, *before[2:])))
    to_sequences = Rearranged(lambda x: ops.reshape(x, (-1, *after[1:])))
    return [
        single_input_node(f"{node.path}/steps", to_batch, read, (flat,), shapes),
        single_input_node(f"{node.path}/{inner.name}", inner, flat, (out,), shapes),
        single_input_node(f"{node.path}/sequences", to_sequences, out, node.writes, shapes),
    ]


def _new_slot(shapes: dict, shape: tuple) -> Slot:
    slot = 1 + max(shapes)
    shapes[slot] = shape
    return slot


EXPANSIONS: tuple[tuple[Callable[[Node, dict], Any], Callable], ...] = (
    (_is_bidirectional, _two_directions),
    (_is_time_distributed, over_time),
)
