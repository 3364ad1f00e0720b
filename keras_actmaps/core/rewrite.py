"""Rewriting graphs: the same function without its softmax, with activations as nodes, or at another precision.

Layers are copied on the same variables; the user's model is never changed.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import tree

from keras_actmaps import backend
from keras_actmaps.core._keras_compat import attributes, shallow_copy, with_dtype_policy
from keras_actmaps.core.expand import expand_wrappers
from keras_actmaps.core.graph import Graph, Node, ancestors, single_input_node
from keras_actmaps.core.plain_layers import KERNEL_LAYERS, OWN_MODULES, is_plain
from keras_actmaps.core.types import Slot

IDENTITIES = (
    *(keras.layers.Identity, keras.layers.Dropout, keras.layers.GaussianNoise, keras.layers.GaussianDropout),
    *(keras.layers.SpatialDropout1D, keras.layers.SpatialDropout2D, keras.layers.SpatialDropout3D),
)  # at inference
OUTPUT_ACTIVATIONS = ("softmax", "sigmoid", "log_softmax")


def strip_output_activation(graph: Graph) -> Graph:
    """The graph without the softmax or sigmoid of its outputs, whether a layer, an operation or an `activation=`."""
    nodes = {node.writes: node for node in graph.nodes}

    def strip(slot: Slot) -> tuple[Slot, Callable | None]:
        """The slot before the activation, and the activation."""
        node = graph.producer(slot)
        if node is None:
            return slot, None
        if _is_output_activation(node, graph) or is_identity(node.operation):
            (read,) = set(node.reads.values())
            return (read, node.operation) if _is_output_activation(node, graph) else strip(read)
        activation = getattr(node.operation, "activation", None)
        if not _is_softmax_or_sigmoid(activation, graph.shapes.get(slot, ())):
            return slot, None
        nodes[node.writes] = replace(node, operation=with_activation(node.operation, keras.activations.linear))
        return slot, activation

    stripped = [strip(slot) for slot in tree.flatten(graph.outputs)]
    slots, activations = [slot for slot, _ in stripped], tuple(activation for _, activation in stripped)
    outputs = tree.pack_sequence_as(graph.outputs, slots)
    return replace(graph, nodes=ancestors(nodes.values(), slots), outputs=outputs, output_activations=activations)


def split_activations(graph: Graph) -> Graph:
    """The graph with each `activation=` of a layer with a kernel as a separate node, also inside wrappers."""
    graph = expand_wrappers(graph)
    slots = itertools.count(1 + max(graph.shapes))
    nodes, shapes = [], dict(graph.shapes)
    for node in graph.nodes:
        activation = getattr(node.operation, "activation", None)
        if not is_plain(node.operation, KERNEL_LAYERS) or activation in (None, keras.activations.linear):
            nodes.append(node)
            continue
        between = next(slots)
        shapes[between] = shapes[node.writes[0]]
        layer = with_activation(node.operation, keras.activations.linear)
        nodes.append(replace(node, operation=layer, writes=(between,)))
        path = f"{node.path}.{getattr(activation, '__name__', 'activation')}"
        nodes.append(single_input_node(path, activation, between, node.writes, shapes))
    return replace(graph, nodes=tuple(nodes), shapes=shapes)


def with_precision(graph: Graph, precision: str, name: str) -> Graph:
    """The graph, with layers with a kernel in bfloat16 if `precision` is "bfloat16".

    Raises ValueError for an unknown precision, and for bfloat16 if the model, called `name`, could not be traced.
    """
    if precision not in backend.PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(backend.PRECISIONS)}, got {precision!r}")
    if precision != "bfloat16":
        return graph
    if graph.is_opaque:
        raise ValueError(
            f"precision='bfloat16' is set layer by layer, and {name!r} cannot be traced; use 'float32' or 'tf32'"
        )
    nodes = (
        replace(node, operation=with_dtype_policy(node.operation, "mixed_bfloat16"))
        if is_plain(node.operation, KERNEL_LAYERS)
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


def in_float32(operation: Any) -> Any:
    """A layer on the same variables that computes in float32, as do the layers inside it; anything else unchanged."""
    if getattr(operation, "compute_dtype", "float32") not in ("float16", "bfloat16", "float64"):
        return operation
    parts = attributes(operation)
    inside = {name: in_float32(part) for name, part in parts.items() if isinstance(part, keras.layers.Layer)}
    lists = {name: part for name, part in parts.items() if name[0] != "_" and isinstance(part, (list, tuple))}
    inside |= {name: list(map(in_float32, part)) for name, part in lists.items() if _has_layers(part)}
    if isinstance(operation, keras.layers.StackedRNNCells):
        inside["cells"] = [in_float32(cell) for cell in operation.cells]
    return shallow_copy(with_dtype_policy(operation, "float32"), **inside)


def _has_layers(parts: list | tuple) -> bool:
    return any(isinstance(part, keras.layers.Layer) for part in parts)


def with_activation(layer: keras.layers.Layer, activation: Callable) -> keras.layers.Layer:
    """A copy of the layer on the same variables with another activation."""
    return shallow_copy(layer, activation=activation)


def is_identity(operation: Any) -> bool:
    """Whether a layer returns its input at inference: Dropout, Identity, Activation("linear")."""
    if isinstance(operation, keras.layers.Activation):
        return operation.activation is keras.activations.linear
    return isinstance(operation, IDENTITIES)


def _is_softmax_or_sigmoid(activation: Any, shape: tuple) -> bool:
    """Whether an activation function is a softmax or sigmoid, by its name or by its values."""
    if activation is None or activation is keras.activations.linear:
        return False
    is_known = getattr(activation, "__module__", "").startswith("keras.")
    return getattr(activation, "__name__", "") in OUTPUT_ACTIVATIONS or (
        not is_known and _computes_softmax(activation, shape)
    )


def _is_output_activation(node: Node, graph: Graph) -> bool:
    """Whether this is a softmax or sigmoid layer or operation, or a layer without weights that computes one."""
    operation = node.operation
    if type(operation).__name__ in ("Softmax", "Sigmoid", "LogSoftmax"):
        return True
    shape = graph.shapes.get(node.writes[0], ())
    if isinstance(operation, keras.layers.Activation):
        return _is_softmax_or_sigmoid(operation.activation, shape)
    if len(node.reads) != 1 or len(node.writes) != 1 or getattr(operation, "weights", None):
        return False
    is_custom = isinstance(operation, keras.layers.Lambda) or not type(operation).__module__.startswith(OWN_MODULES)
    is_layer = isinstance(operation, keras.layers.Layer) and not isinstance(operation, keras.Model)
    return (
        is_custom
        and is_layer
        and graph.shapes.get(next(iter(node.reads.values()))) == shape
        and _computes_softmax(operation, shape)
    )


def _computes_softmax(function: Callable, shape: tuple) -> bool:
    """Whether a function returns the softmax over the last axis, or the sigmoid, of random test values."""
    if len(shape) < 2 or shape[-1] is None:
        return False
    values = np.random.default_rng(0).normal(0, 2, [3 if side is None else side for side in shape]).astype("float32")
    try:
        found = backend.to_numpy(function(keras.ops.convert_to_tensor(values)))
    except Exception:  # any error of the user's function means that it is not a plain softmax
        return False
    if found.shape != values.shape:
        return False
    softmax = np.exp(values) / np.exp(values).sum(-1, keepdims=True)
    expected = [1 / (1 + np.exp(-values))] + ([softmax] if shape[-1] > 1 else [])
    return any(np.allclose(found, one, atol=1e-5) for one in expected)
