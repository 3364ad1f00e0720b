"""The gradients of ReLU in guided backpropagation and DeconvNet."""

from collections.abc import Callable
from dataclasses import replace

from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.graph import Graph, Node, check_inputs_reached, single_input_node
from keras_actmaps.core.layer_types import RELU, describe_node, layer_type, operation_name
from keras_actmaps.core.rewrite import split_activations
from keras_actmaps.core.trace_layers import expand_custom_layers
from keras_actmaps.methods.rules.hidden_relu import computes_relu, hidden_relu


def guided_relu(relu: Callable) -> Callable:
    """ReLU with the gradient relu'(x) max(g, 0): positive gradients only, where ReLU is active."""
    return backend.custom_gradient(relu, lambda x, g: backend.vjp(lambda x: [relu(x)], [x])[1]([ops.relu(g)])[0])


def deconvnet_relu(relu: Callable) -> Callable:
    """ReLU with the gradient max(g, 0): positive gradients only, whether ReLU is active or not."""
    return backend.custom_gradient(relu, lambda x, g: ops.relu(g))


def with_relu(graph: Graph, rule: Callable, name: str, method: str) -> tuple[Node, ...]:
    """The nodes of the graph with each ReLU, a layer, operation or `activation=`, replaced by `rule(relu)`.

    Variants such as ReLU6 and leaky ReLU are included, as are those in custom layers that can be traced; any other
    activation keeps its gradient. Raises ValueError for a ReLU that cannot be replaced, and for a model, called
    `name`, without ReLU.
    """
    check_inputs_reached(graph, method)
    whole = split_activations(expand_custom_layers(graph, computes_relu))
    for node in whole.nodes:
        reason = hidden_relu(node, whole)
        if reason:
            raise ValueError(
                f"{method} replaces the gradient of every ReLU, but layer {describe_node(node)} {reason}; saliency and "
                "integrated_gradients take any layer"
            )
    nodes = [_replaced(node, whole, rule) for node in whole.nodes]
    if all(new is old for new, old in zip(nodes, whole.nodes)):
        found = dict.fromkeys(
            operation_name(node.operation).lower() for node in whole.nodes if layer_type(node) == "activation"
        )
        raise ValueError(
            f"{method} changes the gradient of ReLU, and {name!r} has none; its activations: "
            f"{', '.join(found) or 'none'}; saliency and integrated_gradients take any"
        )
    return tuple(nodes)


def _replaced(node: Node, graph: Graph, rule: Callable) -> Node:
    """A ReLU with the rule's gradient; any other node unchanged."""
    if operation_name(node.operation) in RELU:
        return replace(node, operation=rule(node.operation))
    if not computes_relu(node, graph.shapes):
        return node
    (read,) = set(node.reads.values())
    return single_input_node(node.path, rule(lambda x: node({read: x})), read, node.writes, graph.shapes)
