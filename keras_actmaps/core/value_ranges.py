"""Which tensors of a graph are never negative, whatever the input is."""

import re
from typing import Any

import keras

from keras_actmaps.core.graph import Graph, Node
from keras_actmaps.core.layer_types import operation_name
from keras_actmaps.core.plain_layers import OWN_MODULES
from keras_actmaps.core.types import Slot

RELU = ("ReLU", "Relu", "Relu6", "relu", "relu6")
SIGMOIDS = ("Sigmoid", "HardSigmoid", "Softmax", "Softplus", "sigmoid", "hard_sigmoid", "softmax", "softplus")
OF_ONE = {  # class names without Global, Adaptive, 1D, 2D and 3D
    *(
        "MaxPooling",
        "AveragePooling",
        "MaxPool",
        "AveragePool",
        "ZeroPadding",
        "Cropping",
        "Mean",
        "Sum",
        "Max",
        "Amax",
    ),
    *("Flatten", "Reshape", "Permute", "Transpose", "Concatenate"),
    *("Dropout", "SpatialDropout", "Identity", "GaussianNoise", "GaussianDropout"),  # at inference
}
OF_SEVERAL = {"Add", "Average", "Maximum", "Multiply"}


def nonnegative_slots(graph: Graph) -> set[Slot]:
    """The slots behind a ReLU, a sigmoid or a softmax, and behind sums, products and pools of such."""
    found: set[Slot] = set()
    for node in graph.nodes:
        if _is_nonnegative(node) or (found.issuperset(node.reads.values()) and _keeps_sign(node)):
            found.update(node.writes)
    return found


def _is_nonnegative(node: Node) -> bool:
    """Whether this is an activation of Keras or of a converted module without negative values."""
    operation: Any = node.operation
    function = operation.activation if isinstance(operation, keras.layers.Activation) else operation
    if not getattr(function, "__module__", type(function).__module__).startswith(OWN_MODULES):
        return False
    name = operation_name(function)
    has_slope = getattr(function, "negative_slope", None) or getattr(function, "threshold", 0) < 0
    return name in SIGMOIDS or (name in RELU and not has_slope)


def _keeps_sign(node: Node) -> bool:
    """Whether outputs are not negative where all tensors that are read are not; a constant may be."""
    family = re.sub("^(Global|Adaptive)|[123]D$", "", operation_name(node.operation))
    module = type(node.operation).__module__
    if family in OF_ONE and module.startswith(OWN_MODULES):
        return True
    parts = keras.tree.flatten(node.arguments.args)
    is_keras = module.startswith(OWN_MODULES[0])  # operations of converted modules hide their constants
    return is_keras and family in OF_SEVERAL and all(isinstance(part, keras.KerasTensor) for part in parts)
