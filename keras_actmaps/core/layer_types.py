"""The type of a node: linear, affine, activation, rearrange, sum, max or product.

Propagation rules are chosen by type.
"""

import re
from typing import Any

import keras

from keras_actmaps.core.graph import Node
from keras_actmaps.core.linear import Linear
from keras_actmaps.core.rewrite import KERNEL_LAYERS, OWN_MODULES, is_plain

TYPES = {  # class names without Global, Adaptive, Random, 1D, 2D and 3D
    "rearrange": {
        *("Flatten", "Reshape", "Permute", "Transpose", "ExpandDims", "Squeeze", "Swapaxes", "Moveaxis", "Concatenate"),
        *("GetItem", "Split", "Stack", "Pad", "ZeroPadding", "Cropping", "RepeatVector", "BroadcastTo"),
        *("Identity", "Dropout", "SpatialDropout", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
        *("ActivityRegularization", "Flip", "Rotation", "Zoom", "Translation", "Contrast", "Brightness", "Crop"),
    },
    "sum": {"Average", "AveragePooling", "AveragePool", "Mean", "Sum", "UpSampling", "Resizing"},
    "max": {"MaxPooling", "MaxPool", "Max", "Amax"},
    "affine": {"BatchNormalization", "Normalization", "Rescaling", "Negative"},
    "activation": {
        *("ReLU", "LeakyReLU", "PReLU", "ELU", "Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "Silu"),
        *("HardSilu", "Mish", "Sigmoid", "HardSigmoid", "SparseSigmoid", "LogSigmoid", "Tanh", "HardTanh", "Softplus"),
        *("Softsign", "Squareplus", "SparsePlus", "SoftShrink", "HardShrink", "TanhShrink", "Threshold", "Clip"),
    },
}
SUMS_OF_TWO = ("Add", "Subtract")
NOT_ELEMENTWISE = ("softmax", "log_softmax", "sparsemax", "glu")
RELU = ("ReLU", "LeakyReLU", "Relu", "Relu6", "LeakyRelu", "relu", "relu6", "leaky_relu")
GATES = ("Sigmoid", "HardSigmoid", "SparseSigmoid", "sigmoid", "hard_sigmoid", "sparse_sigmoid")


def layer_type(node: Node) -> str | None:
    """The type of a node; None if it is unknown.

    linear: a kernel and a bias (`core.linear.Linear`); affine: elementwise scale and shift; activation: an elementwise
    function; rearrange: elements move to other positions; sum: linear without a kernel; max; product.
    """
    name = operation_name(node.operation)
    reads, arguments = len(node.reads), len(node.arguments.keras_tensors)
    if isinstance(node.operation, Linear) or is_plain(node.operation, KERNEL_LAYERS):
        return "linear"
    family = re.sub("^(Global|Adaptive|Random)|[123]D$", "", name)
    known = next((found for found, names in TYPES.items() if family in names), None)
    if known:
        return known
    if name in SUMS_OF_TWO:
        return "affine" if arguments == 1 else "sum"
    if name == "Multiply":
        return "product" if reads == 2 == arguments else "affine" if arguments == 1 else None
    if name in ("Maximum", "Minimum"):
        return "activation" if arguments == 1 else "max"
    if name in ("Divide", "TrueDivide"):
        return "activation" if arguments == 1 else None
    is_function = isinstance(node.operation, keras.layers.Activation) or not isinstance(node.operation, keras.Operation)
    return "activation" if is_function and name not in NOT_ELEMENTWISE else None


def operation_name(operation: Any) -> str:
    """The name of the Keras class of a layer or operation, or of an activation function; "" for others."""
    if isinstance(operation, keras.layers.Activation):
        return operation_name(operation.activation)
    if not isinstance(operation, keras.Operation):
        return getattr(operation, "__name__", "")
    if type(operation).__module__.startswith(OWN_MODULES[1]):
        return type(operation).__name__
    classes: list[Any] = list(type(operation).__mro__)
    base = next((cls for cls in classes if cls.__module__.startswith("keras.")), keras.Operation)
    return base.__name__ if type(operation).call is base.call else ""


def describe_node(node: Node) -> str:
    """The path and the class of a node, for error messages."""
    name = operation_name(node.operation)
    return f"{node.path!r} ({name or type(node.operation).__name__})"
