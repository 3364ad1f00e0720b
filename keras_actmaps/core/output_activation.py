"""The softmax or sigmoid at the outputs of a graph: removed, however it is written, or recognized by its values."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from keras_actmaps import backend
from keras_actmaps.core.graph import Graph, Node, ancestors, run_nodes
from keras_actmaps.core.rewrite import is_identity, split_activations, with_activation
from keras_actmaps.core.types import Array, Slot, Tensor

NAMES = ("softmax", "sigmoid", "log_softmax", "Softmax", "Sigmoid", "LogSoftmax")  # of functions, layers and operations
LONGEST_TAIL = 16  # nodes


def strip_output_activation(graph: Graph) -> Graph:
    """The graph without the softmax, log-softmax or sigmoid of its outputs.

    It may be a layer, an operation, an `activation=`, or several operations that compute one together, such as
    `exp(x) / sum(exp(x))`, which are recognized by what they return.
    """
    nodes = {node.writes: node for node in graph.nodes}

    def strip(slot: Slot) -> tuple[Slot, Callable | None]:
        """The slot before the activation, and the activation."""
        node = graph.producer(slot)
        if node is None:
            return slot, None
        if is_identity(node.operation):
            return strip(next(iter(node.reads.values())))
        before, function = _before_tail(graph, slot)
        if function is not None or _is_named(node.operation):
            return (before, function) if function else (next(iter(node.reads.values())), node.operation)
        activation = getattr(node.operation, "activation", None)
        if isinstance(node.operation, keras.layers.Activation) or not _is_activation(activation, graph, slot):
            return slot, None
        nodes[node.writes] = replace(node, operation=with_activation(node.operation, keras.activations.linear))
        return slot, activation

    stripped = [strip(slot) for slot in tree.flatten(graph.outputs)]
    slots, activations = [slot for slot, _ in stripped], tuple(activation for _, activation in stripped)
    outputs = tree.pack_sequence_as(graph.outputs, slots)
    return replace(graph, nodes=ancestors(nodes.values(), slots), outputs=outputs, output_activations=activations)


def has_bounded_outputs(graph: Graph) -> bool:
    """Whether all outputs lie between 0 and 1, as probabilities do, for any values of the last layers with weights.

    Tested on random values. False for outputs of layers with weights.
    """
    slots = tree.flatten(graph.outputs)
    if graph.is_opaque or not all(any(_tails(graph, slot)) for slot in slots):
        return False
    graph = split_activations(graph)
    return all(_is_bounded(graph, slot) for slot in slots)


def _is_named(operation: Any) -> bool:
    """Whether this is a softmax or sigmoid layer or operation."""
    if isinstance(operation, keras.layers.Activation):
        return getattr(operation.activation, "__name__", "") in NAMES
    return type(operation).__name__ in NAMES


def _is_activation(activation: Any, graph: Graph, slot: Slot) -> bool:
    """Whether the `activation=` of a layer is a softmax or sigmoid, by its name or by its values."""
    if activation is None or activation is keras.activations.linear:
        return False
    if getattr(activation, "__name__", "") in NAMES:
        return True
    values = _random(graph.shapes.get(slot, ()), 2)
    return not getattr(activation, "__module__", "").startswith("keras.") and _computes_softmax(activation, values)


def _before_tail(graph: Graph, slot: Slot) -> tuple[Slot, Callable | None]:
    """The slot before the last nodes if these compute a softmax or sigmoid of it, and their function.

    Of several slots it is the first: those after it may differ by the largest logit, which a softmax does not see.
    """
    found: tuple[Slot, Callable | None] = slot, None
    for tail, reads in _tails(graph, slot):
        shape = graph.shapes.get(slot, ())
        if len(reads) == 1 and shape == graph.shapes.get(reads[0]):
            function = partial(_run_tail, tail, reads[0], slot)
            if _computes_softmax(function, _random(shape, 2)):
                found = reads[0], function
    return found


def _tails(graph: Graph, slot: Slot) -> Iterator[tuple[tuple[Node, ...], list[Slot]]]:
    """Longer and longer sequences of nodes without weights that end at a slot, and the slots that they start from."""
    tail: list[Node] = []
    starts = {slot}
    for node in reversed(graph.nodes):
        if len(tail) < LONGEST_TAIL and starts.intersection(node.writes) and not getattr(node.operation, "weights", ()):
            tail.insert(0, node)
            starts = starts.difference(node.writes).union(node.reads.values())
            yield tuple(tail), sorted(starts)


def _run_tail(tail: tuple[Node, ...], start: Slot, slot: Slot, values: Tensor) -> Tensor:
    return run_nodes(tail, {start: values})[slot]


def _is_bounded(graph: Graph, slot: Slot) -> bool:
    *_, (tail, starts) = _tails(graph, slot)
    if not all(one in graph.shapes for one in starts):
        return False
    values = {one: ops.convert_to_tensor(_random(graph.shapes[one], 10, seed=one)) for one in starts}
    found = _result(lambda: run_nodes(tail, values)[slot])
    if found is None or found.dtype.kind != "f" or np.ptp(found) < 1e-3:
        return False
    return bool(found.min() > -1e-6 and found.max() < 1 + 1e-6)


def _random(shape: tuple, scale: float, seed: int = 0) -> Array:
    """Normally distributed test values; unknown sizes are 3."""
    return np.random.default_rng(seed).normal(0, scale, [side or 3 for side in shape]).astype("float32")


def _computes_softmax(function: Callable, values: Array) -> bool:
    """Whether a function returns the softmax or log-softmax over the last axis, or the sigmoid, of test values."""
    if values.ndim < 2:
        return False
    found = _result(lambda: function(ops.convert_to_tensor(values)))
    if found is None or found.shape != values.shape:
        return False
    softmax = np.exp(values) / np.exp(values).sum(-1, keepdims=True)
    expected = [1 / (1 + np.exp(-values))] + ([softmax, np.log(softmax)] if values.shape[-1] > 1 else [])
    return any(np.allclose(found, one, rtol=1e-3, atol=1e-4) for one in expected)


def _result(function: Callable) -> Array | None:
    """What a function returns, as an array; None if it fails, as a user's function may by any error on test values."""
    try:
        with backend.eager_scope():
            return backend.to_numpy(function())
    except Exception:
        return None
