"""The gradients of ReLU in guided backpropagation and DeconvNet."""

from collections.abc import Callable
from dataclasses import replace

import keras
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.graph import Graph, Node, check_inputs_reached
from keras_actmaps.core.layer_types import RELU, describe_node, layer_type, operation_name
from keras_actmaps.core.rewrite import split_activations
from keras_actmaps.core.trace import inner_operations


def guided_relu(relu: Callable) -> Callable:
    """ReLU with the gradient relu'(x) max(g, 0): positive gradients only, where ReLU is active."""
    return backend.custom_gradient(relu, lambda x, g: backend.vjp(lambda x: [relu(x)], [x])[1]([ops.relu(g)])[0])


def deconvnet_relu(relu: Callable) -> Callable:
    """ReLU with the gradient max(g, 0): positive gradients only, whether ReLU is active or not."""
    return backend.custom_gradient(relu, lambda x, g: ops.relu(g))


def _check_inside(node: Node, graph: Graph, method: str) -> None:
    """ValueError for a layer with a ReLU inside, whose gradient cannot be replaced."""
    if layer_type(node) not in ("recurrent", None):
        return
    inside: list | None = []
    names = {name.replace("ReLU6", "Relu6") for name in getattr(node.operation, "inner_names", ())}
    if isinstance(node.operation, keras.layers.Layer):
        inside = inner_operations(node.operation, [graph.shapes[slot] for slot in node.reads.values()])
        parts = [node.operation, *(inside or [])]
        names |= {operation_name(part) for part in parts}
        activations = ("activation", "recurrent_activation")
        names |= {operation_name(getattr(part, name, None)) for part in parts for name in activations}
    is_relu = not names.isdisjoint(RELU)
    if is_relu or inside is None:
        raise ValueError(
            f"{method} replaces the gradient of every ReLU, but layer {describe_node(node)} "
            f"{'contains one' if is_relu else 'cannot be traced and may contain one'} that it cannot reach; saliency "
            "and integrated_gradients take any layer"
        )


def with_relu(graph: Graph, rule: Callable, name: str, method: str) -> tuple[Node, ...]:
    """The nodes of the graph with each ReLU, a layer, operation or `activation=`, replaced by `rule(relu)`.

    Variants such as ReLU6 and leaky ReLU are included; any other activation keeps its gradient. Raises ValueError
    for a model, called `name`, without ReLU.
    """
    check_inputs_reached(graph, method)
    nodes = split_activations(graph).nodes
    for node in nodes:
        _check_inside(node, graph, method)
    if not any(operation_name(node.operation) in RELU for node in nodes):
        found = dict.fromkeys(
            operation_name(node.operation).lower() for node in nodes if layer_type(node) == "activation"
        )
        raise ValueError(
            f"{method} changes the gradient of ReLU, and {name!r} has none; its activations: "
            f"{', '.join(found) or 'none'}; saliency and integrated_gradients take any"
        )
    return tuple(
        replace(node, operation=rule(node.operation)) if operation_name(node.operation) in RELU else node
        for node in nodes
    )
