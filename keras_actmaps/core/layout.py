"""Layouts: models with `data_format="channels_first"` as graphs whose inputs and explained layers are channels last."""

from collections.abc import Iterable
from dataclasses import replace

import keras

from keras_actmaps.core.graph import Graph, Node, single_input_node
from keras_actmaps.core.layer_types import layer_type, operation_name
from keras_actmaps.core.linear import Linear
from keras_actmaps.core.rewrite import is_identity
from keras_actmaps.core.types import Slot

KEEPS_LAYOUT = ("affine", "activation", "product")  # types of nodes
MERGING = ("Add", "Subtract", "Average", "Maximum", "Minimum", "Concatenate")


def channels_first_slots(graph: Graph) -> set[Slot]:
    """The slots of tensors (N, C, ...): those of channels-first layers and of adjacent elementwise operations."""
    known = {slot for node in graph.nodes if _is_channels_first(node) for slot in _image_slots(node, graph)}
    links = [set(_image_slots(node, graph)) for node in graph.nodes if _keeps_layout(node, graph)]
    while True:
        added = set().union(*(slots for slots in links if slots & known)) - known
        if not added:
            return known
        known |= added


def with_last_inputs(graph: Graph) -> Graph:
    """The graph of a channels-first model that reads channels-last inputs."""
    (first,) = graph.inputs
    last = 1 + max(graph.shapes)
    shapes = {**graph.shapes, last: _last(graph.shapes[first])}
    node = single_input_node("channels_first", _to_first(len(shapes[first])), last, (first,), shapes)
    return replace(graph, inputs=(last,), nodes=(node, *graph.nodes), shapes=shapes)


def with_last_layers(graph: Graph, paths: Iterable[str], channels_first: set[Slot]) -> Graph:
    """The graph in which the outputs of some layers are channels last; their readers are unchanged."""
    for path in paths:
        slot = graph.slot_of[path]
        if slot in channels_first:
            graph = _transposed_at(graph, slot)
    return graph


def _transposed_at(graph: Graph, slot: Slot) -> Graph:
    """Insert a transposition and its inverse between the producer of a slot and its readers."""
    written, last = 1 + max(graph.shapes), 2 + max(graph.shapes)
    shapes = {**graph.shapes, written: graph.shapes[slot], last: _last(graph.shapes[slot])}
    rank, nodes = len(shapes[slot]), []
    for node in graph.nodes:
        if slot not in node.writes:
            nodes.append(node)
            continue
        nodes.append(replace(node, writes=tuple(written if other == slot else other for other in node.writes)))
        nodes.append(single_input_node(node.path, _to_last(rank), written, (last,), shapes))
        nodes.append(single_input_node(f"{node.path}.channels_first", _to_first(rank), last, (slot,), shapes))
    slot_of = {path: last if other == slot else other for path, other in graph.slot_of.items()}
    return replace(graph, nodes=tuple(nodes), slot_of=slot_of, shapes=shapes)


def _is_channels_first(node: Node) -> bool:
    layer = node.operation.layer if isinstance(node.operation, Linear) else node.operation
    return getattr(layer, "data_format", None) == "channels_first"


def _image_slots(node: Node, graph: Graph) -> list[Slot]:
    """The slots of a node with the most axes, more than 2: those of images, not of pooled features."""
    slots = [*node.reads.values(), *node.writes]
    rank = max(len(graph.shapes.get(slot, ())) for slot in slots)
    return [slot for slot in slots if rank > 2 and len(graph.shapes.get(slot, ())) == rank]


def _keeps_layout(node: Node, graph: Graph) -> bool:
    """Whether the inputs and outputs of a node have the same layout."""
    is_elementwise = layer_type(node) in KEEPS_LAYOUT or operation_name(node.operation) in MERGING
    return not _is_channels_first(node) and (is_elementwise or is_identity(node.operation))


def _last(shape: tuple) -> tuple:
    return (shape[0], *shape[2:], shape[1])


def _to_last(rank: int) -> keras.layers.Layer:
    return keras.layers.Permute((*range(2, rank), 1))


def _to_first(rank: int) -> keras.layers.Layer:
    return keras.layers.Permute((rank - 1, *range(1, rank - 1)))
