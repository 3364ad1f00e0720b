"""Rewriting graphs: the same function with activations as nodes, or at another precision.

Layers are copied on the same variables; the user's model is never changed.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras

from keras_actmaps import backend
from keras_actmaps.core._keras_compat import attributes, shallow_copy, with_dtype_policy
from keras_actmaps.core.expand import expand_wrappers
from keras_actmaps.core.graph import Graph, single_input_node
from keras_actmaps.core.plain_layers import KERNEL_LAYERS, is_plain

IDENTITIES = (
    *(keras.layers.Identity, keras.layers.Dropout, keras.layers.GaussianNoise, keras.layers.GaussianDropout),
    *(keras.layers.SpatialDropout1D, keras.layers.SpatialDropout2D, keras.layers.SpatialDropout3D),
)  # at inference


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
