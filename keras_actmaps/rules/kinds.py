"""What a step of the graph does, in seven words: linear, affine, activation, moves, sums, max, product."""

import re
from collections.abc import Callable

import keras

from keras_actmaps import rewire
from keras_actmaps.rules.linear import Linear

KINDS = {  # names without Global, Adaptive, Random, 1D, 2D, 3D
    "moves": {
        *("Flatten", "Reshape", "Permute", "Transpose", "ExpandDims", "Squeeze", "Swapaxes", "Moveaxis", "Concatenate"),
        *("GetItem", "Split", "Stack", "Pad", "ZeroPadding", "Cropping", "RepeatVector", "BroadcastTo"),
        *("Identity", "Dropout", "SpatialDropout", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
        *("ActivityRegularization", "Flip", "Rotation", "Zoom", "Translation", "Contrast", "Brightness", "Crop"),
    },
    "sums": {"Average", "AveragePooling", "AveragePool", "Mean", "Sum", "UpSampling", "Resizing"},
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


def kind_of(step: rewire.Step) -> str | None:
    """The kind of a step; None for one that is not known.

    linear: a kernel and a bias (`rules.linear.Linear`); affine: scale and shift of each element; activation: a
    function of each element; moves: elements are put elsewhere; sums: linear without a kernel; max; product.
    """
    name = name_of(step.operation)
    reads, given = len(step.reads), len(step.arguments.keras_tensors)
    if isinstance(step.operation, Linear) or rewire.is_plain(step.operation, rewire.KERNELS):
        return "linear"
    family = re.sub("^(Global|Adaptive|Random)|[123]D$", "", name)
    known = next((kind for kind, names in KINDS.items() if family in names), None)
    if known:
        return known
    if name in SUMS_OF_TWO:
        return "affine" if given == 1 else "sums"
    if name == "Multiply":
        return "product" if reads == 2 == given else "affine" if given == 1 else None
    if name in ("Maximum", "Minimum"):
        return "activation" if given == 1 else "max"
    if name in ("Divide", "TrueDivide"):
        return "activation" if given == 1 else None
    is_function = isinstance(step.operation, keras.layers.Activation) or not isinstance(step.operation, keras.Operation)
    return "activation" if is_function and name not in NOT_ELEMENTWISE else None


def name_of(operation: Callable) -> str:
    """The name of Keras' class behind a layer or operation, or of an activation function; "" for what is not Keras'."""
    if isinstance(operation, keras.layers.Activation):
        return name_of(operation.activation)
    if not isinstance(operation, keras.Operation):
        return getattr(operation, "__name__", "")
    if type(operation).__module__.startswith(rewire.OWN[1]):
        return type(operation).__name__
    base = next((cls for cls in type(operation).__mro__ if cls.__module__.startswith("keras.")), keras.Operation)
    return base.__name__ if type(operation).call is base.call else ""


def label(step: rewire.Step) -> str:
    """A step for an error message: its path and its type."""
    name = name_of(step.operation)
    return f"{step.path!r} ({name or type(step.operation).__name__})"
