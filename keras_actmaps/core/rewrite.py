"""Rewriting graphs: the same function without its softmax, with activations as nodes, or at another precision.

Layers are copied on the same variables; the user's model is never changed.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
from keras import tree

from keras_actmaps import backend
from keras_actmaps.core._keras_compat import shallow_copy, with_dtype_policy
from keras_actmaps.core.graph import Graph, ancestors, single_input_node
from keras_actmaps.core.types import Slot

OWN_MODULES = ("keras.", "keras_actmaps.backend.")  # where `call` does what the layer's class is known for
KERNEL_LAYERS = (
    *(keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D),
    *(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose),
    *(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D),
    *(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D),
)  # a kernel, a bias and an activation
IDENTITIES = (
    *(keras.layers.Identity, keras.layers.Dropout, keras.layers.GaussianNoise, keras.layers.GaussianDropout),
    *(keras.layers.SpatialDropout1D, keras.layers.SpatialDropout2D, keras.layers.SpatialDropout3D),
)  # at inference
SQUASHING = ("softmax", "sigmoid", "log_softmax")


def strip_output_activation(graph: Graph) -> Graph:
    """The graph without a softmax or sigmoid at its outputs, be it a layer, an operation or an `activation=`."""
    nodes = {node.writes: node for node in graph.nodes}

    def strip(slot: Slot) -> Slot:
        node = graph.producer(slot)
        if node is None:
            return slot
        if _is_squashing(node.operation) or is_identity(node.operation):
            (read,) = set(node.reads.values())
            return read if _is_squashing(node.operation) else strip(read)
        if _squashes(getattr(node.operation, "activation", None)):
            nodes[node.writes] = replace(node, operation=with_activation(node.operation, keras.activations.linear))
        return slot

    outputs = tree.map_structure(strip, graph.outputs)
    return replace(graph, nodes=ancestors(nodes.values(), tree.flatten(outputs)), outputs=outputs)


def split_activations(graph: Graph) -> Graph:
    """The graph with each `activation=` of a layer with a kernel as a node of its own."""
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
    """The graph with its layers with a kernel in bfloat16 if `precision` says so.

    Raises ValueError for an unknown precision, and for bfloat16 where the layers of the model `name` are not known.
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
    """A mixed-precision layer on the same variables that computes in float32; anything else unchanged."""
    if getattr(operation, "compute_dtype", "float32") not in ("float16", "bfloat16"):
        return operation
    return with_dtype_policy(operation, "float32")


def with_activation(layer: keras.layers.Layer, activation: Callable) -> keras.layers.Layer:
    """A copy of the layer on the same variables with another activation."""
    return shallow_copy(layer, activation=activation)


def is_plain(operation: Any, classes: tuple) -> bool:
    """Whether this is a Keras layer of these classes, or a subclass with an unchanged `call`."""
    return isinstance(operation, classes) and type(operation).call.__module__.startswith(OWN_MODULES)


def is_identity(operation: Any) -> bool:
    """Whether a layer returns its input at inference: Dropout, Identity, Activation("linear")."""
    if isinstance(operation, keras.layers.Activation):
        return operation.activation is keras.activations.linear
    return isinstance(operation, IDENTITIES)


def _squashes(activation: Any) -> bool:
    return getattr(activation, "__name__", "") in SQUASHING


def _is_squashing(operation: Any) -> bool:
    """A Softmax or Sigmoid layer or operation, or an Activation layer with one of them."""
    if type(operation).__name__ in ("Softmax", "Sigmoid", "LogSoftmax"):
        return True
    return isinstance(operation, keras.layers.Activation) and _squashes(operation.activation)
