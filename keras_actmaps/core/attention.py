"""Attention in a graph: where its probabilities are, the tokens that it reads, and what the outputs are pooled from."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from keras import ops, tree

from keras_actmaps import backend
from keras_actmaps.core.batch_factors import batch_factors
from keras_actmaps.core.graph import Graph, Node
from keras_actmaps.core.layer_types import layer_type, operation_name
from keras_actmaps.core.rewrite import is_identity
from keras_actmaps.core.types import Slot

PRODUCTS = ("Einsum", "Matmul", "Dot", "einsum", "matmul", "bmm")  # of Keras and PyTorch
SELECTIONS = ("GetItem", "Take", "Split")  # operations that take some tokens of all


@dataclass(frozen=True)
class Attention:
    """One attention of a model.

    Attributes
    ----------
    path : str
        Path of its softmax.
    probabilities : int
        Slot of the probabilities (N, ..., T, S), with axes of heads between, or none for a single head.
    tokens : int
        Slot of the tokens that queries, keys and values are computed from; where these differ, that of the tensor
        that all of them are computed from.
    inner : frozenset of int
        The slots from there to the weighted sum of the values, this included.
    """

    path: str
    probabilities: Slot
    tokens: Slot
    inner: frozenset[Slot]


@dataclass(frozen=True)
class Dominators:
    """For each slot the slots through which every path from the inputs to it leads, in order, the slot included."""

    graph: Graph

    @cached_property
    def _of(self) -> dict[Slot, tuple[Slot, ...]]:
        found: dict[Slot, tuple[Slot, ...]] = {slot: (slot,) for slot in self.graph.inputs}
        for node in self.graph.nodes:
            chains = [found[slot] for slot in node.reads.values() if slot in found]
            if chains:
                shared = set(chains[0]).intersection(*chains[1:])
                common = tuple(slot for slot in chains[0] if slot in shared)
                found.update({slot: (*common, slot) for slot in node.writes})
        return found

    def __getitem__(self, slot: Slot) -> tuple[Slot, ...]:
        return self._of.get(slot, (slot,))


def find_attention(graph: Graph) -> list[Attention]:
    """The attentions of a graph in the order of execution: each softmax whose result is a factor of a product."""
    dominators = Dominators(graph)
    found = []
    for node in graph.nodes:
        product = _weighted_sum(graph, node) if _is_softmax(node, graph) else None
        if product is None:
            continue
        slot = product.writes[0]
        tokens = _projected(graph, dominators[slot][-2] if len(dominators[slot]) > 1 else graph.inputs[0])
        below = {written for one in graph.descendants([tokens]) for written in one.writes}
        above = {written for one in graph.ancestors([slot]) for written in one.writes}
        found.append(Attention(node.path, node.writes[0], tokens, frozenset((below & above) | {slot}) - {tokens}))
    return found


def slots_without_features(graph: Graph) -> frozenset[Slot]:
    """The slots inside attentions and of windows, which are no features though they may have as many axes as images.

    Attention between the positions of features (N, h, w, D) has features inside: those with the same positions.
    """
    attentions = find_attention(graph)
    if not attentions:
        return frozenset()
    found = {slot for slot, factor in batch_factors(graph).items() if factor != 1}
    for one in attentions:
        space = graph.shapes[one.tokens][1:-1]
        found |= {slot for slot in one.inner if len(space) < 2 or graph.shapes[slot][1:-1] != space}
    return frozenset(found)


def _projected(graph: Graph, slot: Slot) -> Slot:
    """The tokens (N, T, D) behind queries, keys and values that one layer computes and that are then taken apart."""
    while (node := graph.producer(slot)) is not None and len(node.reads) == 1:
        readers = [other for other in graph.nodes if slot in other.reads.values()]
        if len(graph.shapes[slot]) == 3 and any(layer_type(other) != "rearrange" for other in readers):
            break
        slot = next(iter(node.reads.values()))
    return slot


def _is_softmax(node: Node, graph: Graph) -> bool:
    """Whether this is a softmax over the last axis of a tensor with at least three."""
    name, rank = operation_name(node.operation), len(graph.shapes.get(node.writes[0], ()))
    if name.lower() != "softmax" or rank < 3:
        return False
    axis = getattr(node.operation, "axis", -1)
    return (axis[0] if isinstance(axis, (list, tuple)) and len(axis) == 1 else axis) in (-1, rank - 1)


def _weighted_sum(graph: Graph, node: Node) -> Node | None:
    """The product of the node's output, possibly after dropout, and other values; None if there is none."""
    slot = node.writes[0]
    readers = [other for other in graph.nodes if slot in other.reads.values()]
    for reader in readers:
        if operation_name(reader.operation) in PRODUCTS and len(set(reader.reads.values())) == 2:
            return reader
        if is_identity(reader.operation) and (after := _weighted_sum(graph, reader)) is not None:
            return after
    return None


def block_outputs(graph: Graph, attentions: list[Attention]) -> list[Slot]:
    """The slot of the tokens after the block of each attention, between it and the next one.

    After the last block it is the slot at the same number of steps behind the attention as after the block before.
    """
    chain = Dominators(graph)[tree.flatten(graph.outputs)[0]]
    first_after = [_position_after(graph, chain, one) for one in attentions]
    starts = [_last_before(graph, chain, one) for one in attentions[1:]]
    steps = starts[-1] - first_after[-2] if starts else None
    if steps is None:
        shape = graph.shapes[chain[first_after[-1]]]
        alike = [at for at in range(first_after[-1], len(chain)) if graph.shapes[chain[at]] == shape]
        sums = [at for at in alike if _is_sum(graph, chain[at])]
        starts.append((sums or alike)[-1])
    else:
        starts.append(first_after[-1] + steps)
    return [chain[at] for at in starts]


def _is_sum(graph: Graph, slot: Slot) -> bool:
    node = graph.producer(slot)
    return node is not None and operation_name(node.operation) == "Add"


def _position_after(graph: Graph, chain: tuple[Slot, ...], attention: Attention) -> int:
    """The first position in a chain of dominators that depends on an attention."""
    below = {slot for node in graph.descendants([attention.probabilities]) for slot in node.writes}
    return next(at for at, slot in enumerate(chain) if slot in below)


def _last_before(graph: Graph, chain: tuple[Slot, ...], attention: Attention) -> int:
    """The last position in a chain of dominators that an attention depends on."""
    above = {slot for node in graph.ancestors([attention.probabilities]) for slot in node.writes}
    return max(at for at, slot in enumerate(chain) if slot in above or slot in graph.inputs)


def pooled_tokens(graph: Graph, attention: Attention) -> tuple[int, ...]:
    """The numbers of the tokens that the outputs are computed from: (0,) for a class token, all for their mean.

    attention: the last one.
    """
    chain = Dominators(graph)[tree.flatten(graph.outputs)[0]]
    count = graph.shapes[attention.tokens][1]
    after = chain[_position_after(graph, chain, attention) :]
    tokens = [slot for slot in after if len(graph.shapes[slot]) > 2 and graph.shapes[slot][1] == count]
    if not tokens:
        return tuple(range(count))
    readers = [node for node in graph.nodes if tokens[-1] in node.reads.values()]
    return tuple(sorted({number for node in readers for number in _selected(node, graph.shapes[tokens[-1]])}))


def _selected(node: Node, shape: tuple) -> list[int]:
    """The numbers of the tokens that a node selects; all for a node that does something else."""
    numbers = np.arange(shape[1])
    if operation_name(node.operation) not in SELECTIONS or len(set(node.reads.values())) > 1:
        return numbers.tolist()
    rows = np.broadcast_to(numbers.reshape(1, -1, *(1 for _ in shape[2:])), (1, *shape[1:])).astype("float32")
    with backend.eager_scope():
        taken = node(dict.fromkeys(node.reads.values(), ops.convert_to_tensor(rows)))
        return np.unique(backend.to_numpy(tree.flatten(taken)[0])).astype(int).tolist()
