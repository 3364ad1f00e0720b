"""The type of a node: linear, recurrent, normalization, affine, activation, rearrange, sum, max, product or masking.

Propagation rules are chosen by type.
"""

import contextlib
import re
import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_actmaps.backend import eager_scope, to_numpy
from keras_actmaps.core.expand import Rearranged
from keras_actmaps.core.graph import Graph, Node
from keras_actmaps.core.linear import Linear
from keras_actmaps.core.normalizers import is_normalizer
from keras_actmaps.core.plain_layers import KERNEL_LAYERS, OWN_MODULES, is_plain
from keras_actmaps.core.recurrent import is_recurrent
from keras_actmaps.core.recurrent_cells import Gated
from keras_actmaps.core.types import Slot

TYPES = {  # class names without Global, Adaptive, Random, 1D, 2D and 3D
    "rearrange": {
        *("Flatten", "Reshape", "Permute", "Transpose", "ExpandDims", "Squeeze", "Swapaxes", "Moveaxis", "Concatenate"),
        *("GetItem", "Split", "Stack", "Pad", "ZeroPadding", "Cropping", "RepeatVector", "BroadcastTo"),
        *("Identity", "Dropout", "SpatialDropout", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
        *(
            "StochasticDepth",
            "ActivityRegularization",
            "Flip",
            "Rotation",
            "Zoom",
            "Translation",
            "Contrast",
            "Brightness",
            "Crop",
        ),
    },
    "sum": {"Average", "AveragePooling", "AveragePool", "Mean", "Sum", "UpSampling", "Resizing"},
    "max": {"MaxPooling", "MaxPool", "Max", "Amax"},
    "affine": {"BatchNormalization", "Normalization", "Rescaling", "Negative", "LayerScale"},
    "activation": {
        *("ReLU", "LeakyReLU", "PReLU", "ELU", "Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "Silu"),
        *("HardSilu", "Mish", "Sigmoid", "HardSigmoid", "SparseSigmoid", "LogSigmoid", "Tanh", "HardTanh", "Softplus"),
        *("Softsign", "Squareplus", "SparsePlus", "SoftShrink", "HardShrink", "TanhShrink", "Threshold", "Clip"),
        *("Absolute", "Abs", "Square", "Sqrt", "Rsqrt", "Reciprocal", "Exp", "Expm1", "Log", "Log1p", "Erf"),
    },
    "masking": {"Masking"},
}
SUMS_OF_TWO = ("Add", "Subtract")
NOT_ELEMENTWISE = ("softmax", "log_softmax", "sparsemax", "glu")
RELU = ("ReLU", "LeakyReLU", "Relu", "Relu6", "LeakyRelu", "relu", "relu6", "leaky_relu")
GATES = ("Sigmoid", "HardSigmoid", "SparseSigmoid", "sigmoid", "hard_sigmoid", "sparse_sigmoid")
BOUNDED = ("Relu6", "relu6")


def layer_type(node: Node) -> str | None:
    """The type of a node; None if it is unknown.

    linear: a kernel and a bias (`core.linear.Linear`); recurrent: `core.recurrent`; normalization: by statistics of the
    input (`core.normalizers`); affine: elementwise scale and shift; activation: an elementwise function; rearrange:
    elements move to other positions; sum: linear without a kernel; max; product; masking: zero where a mask says so.
    """
    if isinstance(node.operation, Linear) or is_plain(node.operation, KERNEL_LAYERS):
        return "linear"
    if is_recurrent(node.operation):
        return "recurrent"
    if is_normalizer(node.operation):
        return "normalization"
    if isinstance(node.operation, (Gated, Rearranged)):
        return "product" if isinstance(node.operation, Gated) else "rearrange"
    name = operation_name(node.operation)
    reads, arguments = len(node.reads), len(node.arguments.keras_tensors)
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
    return "activation" if _is_elementwise_function(node.operation, name) else None


def _is_elementwise_function(operation: Any, name: str) -> bool:
    """Whether this is an elementwise activation function, or a layer of one."""
    function = operation.activation if isinstance(operation, keras.layers.Activation) else operation
    if isinstance(function, keras.Operation):
        return False
    if getattr(function, "__module__", "").startswith(OWN_MODULES):
        return name not in NOT_ELEMENTWISE
    try:
        return _elementwise[function]
    except (KeyError, TypeError):  # not known yet, or without a weak reference
        result = _changes_alone(function)
    with contextlib.suppress(TypeError):
        _elementwise[function] = result
    return result


_elementwise: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # functions that have been tested


def _changes_alone(function: Callable) -> bool:
    """Whether each value that a function returns depends on the value at its own position only, by a test."""
    random = np.random.default_rng(0)
    values = random.normal(size=(2, 6)).astype("float32")
    is_kept = random.random(values.shape) < 0.5
    other = np.where(is_kept, values, random.normal(size=values.shape)).astype("float32")
    try:
        with eager_scope():
            before, after = (to_numpy(function(keras.ops.convert_to_tensor(part))) for part in (values, other))
    except Exception:  # any error of the user's function means that it is not a plain activation
        return False
    return before.shape == values.shape and np.array_equal(before[is_kept], after[is_kept])


def gates_of(graph: Graph, node: Node) -> list[bool]:
    """For each factor of a product, whether it is a gate of the other one, the signal.

    A gate is broadcast to the signal (squeeze and excitation); else it is the output of a sigmoid, or of ReLU6, that
    may be scaled, shifted or reshaped afterwards. Two equal candidates are both False.
    """
    slots = list(node.reads.values())
    if isinstance(node.operation, Gated):
        return [True, False]
    whole = graph.shapes[node.writes[0]]
    ranks = [3 if graph.shapes[slot] != whole else _gate_rank(graph, slot) for slot in slots]
    return [rank > 0 and ranks.count(rank) == 1 and rank == max(ranks) for rank in ranks]


def _gate_rank(graph: Graph, slot: Slot) -> int:
    """3 for a mask as numbers, 2 for a sigmoid, 1 for ReLU6, 0 for anything else."""
    node = graph.producer(slot)
    while node is not None and len(node.reads) == 1 and layer_type(node) in ("affine", "rearrange"):
        node = graph.producer(next(iter(node.reads.values())))
    if node is None or not node.floating:
        return 0 if node is None else 3
    name = operation_name(node.operation)
    is_bounded = isinstance(node.operation, keras.layers.ReLU) and node.operation.max_value is not None
    return 2 if name in GATES else 1 if is_bounded or name in BOUNDED else 0


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
