"""How each layer type is computed in a window: rules for nodes whose outputs depend on nearby inputs only."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import layers, ops, tree

from keras_actmaps.core.graph import Node
from keras_actmaps.core.layer_types import layer_type, operation_name
from keras_actmaps.core.linear import PADDING, SEPARABLE, TRANSPOSED, Linear
from keras_actmaps.core.plain_layers import OWN_MODULES, is_plain
from keras_actmaps.core.rewrite import is_identity
from keras_actmaps.core.types import Slot, Tensor
from keras_actmaps.core.windows import Reach

MAX_POOLING = (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D)
AVERAGE_POOLING = (layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D)
GLOBAL_POOLING = (layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D)
MERGING = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
OF_AXES = (
    *(layers.BatchNormalization, layers.LayerNormalization, layers.UnitNormalization, layers.Normalization),
    *((layers.RMSNormalization,) if hasattr(layers, "RMSNormalization") else ()),
)  # pointwise if their axis is that of the channels
ZERO, LOWEST = 0, 1  # what lies beyond the border


@dataclass(frozen=True, eq=False)
class Local:
    """A convolution or pooling: outputs are `apply(inputs)`, without padding.

    Attributes
    ----------
    reach : Reach
    apply : callable
        From inputs (P, *sides, C), borders included, to outputs.
    border : {ZERO, LOWEST}
        The inputs beyond the borders of the map.
    skips_border : bool
        Whether means are taken over the inputs within the map only.
    """

    reach: Reach
    apply: Callable[[Tensor], Tensor]
    border: int = ZERO
    skips_border: bool = False


@dataclass(frozen=True, eq=False)
class Pointwise:
    """Each output depends on the inputs at its own position; the node itself runs on windows."""


@dataclass(frozen=True, eq=False)
class Shift:
    """Zero padding: positions move by `before`."""

    before: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class GlobalMean:
    """The mean over all positions, which changes by the sum of the differences in the window."""

    keepdims: bool


Rule: TypeAlias = Local | Pointwise | Shift | GlobalMean


def rule_of(node: Node, shapes: Mapping[Slot, tuple]) -> Rule | None:
    """The rule of a node; None for a node of which all outputs may change, such as Flatten or attention."""
    if len(node.writes) != 1 or not node.reads:
        return None
    before, after = [shapes[slot] for slot in node.reads.values()], shapes[node.writes[0]]
    if getattr(_layer(node), "data_format", "channels_last") == "channels_first" or len(before[0]) < 3:
        return None
    if type(_layer(node)).__module__.startswith(OWN_MODULES[1]):  # whose settings are in functions of PyTorch
        return None
    if len(before) == 1 and type(_layer(node)).__module__.startswith(OWN_MODULES[0]):  # others may not use theirs
        for applies, rule in RULES:
            if applies(node.operation):
                return rule(node.operation, before[0][1:-1], after[1:-1])
    is_pointwise = all(one[1:-1] == after[1:-1] for one in before) and _is_pointwise(node, len(after))
    return Pointwise() if is_pointwise else None


def multiply_adds(node: Node, shapes: Mapping[Slot, tuple]) -> int:
    """The products of a node with its weights for each position of its output, or input if it is transposed."""
    layer = _layer(node)
    if isinstance(node.operation, Linear) and isinstance(layer, SEPARABLE):
        is_first = node.operation.layout == "depthwise"
        return math.prod((layer.depthwise_kernel if is_first else layer.pointwise_kernel).shape)
    kernels = [weight.shape for weight in getattr(layer, "weights", ()) if len(weight.shape) > 1]
    return sum(map(math.prod, kernels))


def _layer(node: Node) -> Any:
    return node.operation.layer if isinstance(node.operation, Linear) else node.operation


def _is_convolution(operation: Any) -> bool:
    is_linear = isinstance(operation, Linear) and operation.is_convolution and not operation.is_quantized
    return is_linear and not isinstance(operation.layer, TRANSPOSED)


def _convolution(linear: Linear, before: Sequence[int], after: Sequence[int]) -> Local:
    layer: Any = linear.layer
    ones = (1,) * layer.rank
    is_pointwise = isinstance(layer, SEPARABLE) and linear.layout != "depthwise"
    strides, dilation = (ones, ones) if is_pointwise else (layer.strides, layer.dilation_rate)
    size = ones if is_pointwise else tuple((k - 1) * d + 1 for k, d in zip(layer.kernel_size, dilation))
    convolve = ops.depthwise_conv if linear.layout == "depthwise" else ops.conv

    def apply(inputs: Tensor) -> Tensor:
        kernel, bias = linear.weights(inputs)
        kernel, inputs = (ops.cast(part, layer.compute_dtype) for part in (kernel, inputs))
        outputs = convolve(inputs, kernel, strides, "valid", "channels_last", dilation)
        return ops.cast(outputs, "float32") + bias

    padding = "valid" if is_pointwise else layer.padding
    return Local(Reach(size, strides, _padding(padding, size, strides, before, after)), apply)


def _pooling(layer: Any, before: Sequence[int], after: Sequence[int]) -> Local | None:
    size, strides = layer.pool_size, layer.strides
    is_uneven = layer.padding == "same" and any(total % 2 for total in _total_padding(size, strides, before, after))
    if is_uneven and not isinstance(layer, MAX_POOLING):
        return None  # frameworks take other means at that border
    reach = Reach(size, strides, _padding(layer.padding, size, strides, before, after))
    is_max = isinstance(layer, MAX_POOLING)
    pool = ops.max_pool if is_max else ops.average_pool

    def apply(inputs: Tensor) -> Tensor:
        return pool(inputs, size, strides, "valid", "channels_last")

    is_padded = layer.padding == "same"
    return Local(reach, apply, LOWEST if is_max else ZERO, skips_border=is_padded and not is_max)


def _padding(padding: str, size: Sequence, strides: Sequence, before: Sequence, after: Sequence) -> tuple[int, ...]:
    """The padding before the first input of each axis."""
    if padding == "causal":
        return tuple(side - 1 for side in size)
    if padding == "valid":
        return (0,) * len(size)
    return tuple(total // 2 for total in _total_padding(size, strides, before, after))


def _total_padding(size: Sequence, strides: Sequence, before: Sequence, after: Sequence) -> tuple[int, ...]:
    """The padding of each axis, before and after the inputs."""
    sides = zip(size, strides, before, after)
    return tuple(max((end - 1) * stride + side - start, 0) for side, stride, start, end in sides)


def _shift(layer: Any, before: Sequence[int], after: Sequence[int]) -> Shift:
    pairs = layer.padding if isinstance(layer.padding[0], (tuple, list)) else (layer.padding,)
    return Shift(tuple(first for first, _ in pairs))


RULES: tuple[tuple[Callable[[Any], bool], Callable[..., Rule | None]], ...] = (
    (_is_convolution, _convolution),
    (lambda operation: is_plain(operation, (*MAX_POOLING, *AVERAGE_POOLING)), _pooling),
    (lambda operation: is_plain(operation, PADDING), _shift),
    (lambda operation: is_plain(operation, GLOBAL_POOLING), lambda layer, *_: GlobalMean(layer.keepdims)),
)


def _is_pointwise(node: Node, rank: int) -> bool:
    """Whether each output depends on the inputs at its own position only, in the same way at all positions."""
    operation = node.operation
    name = operation_name(operation)
    if isinstance(operation, Linear):
        return isinstance(operation.layer, layers.Dense) and not operation.is_quantized
    if name == "PReLU" or not _has_small_constants(node):
        return False
    if is_plain(operation, OF_AXES) or name == "Concatenate":
        axes = {axis % rank for axis in np.ravel(getattr(operation, "axis", -1)).tolist()}
        return axes == {rank - 1}
    if len(node.reads) > 1:
        return name in MERGING
    function = operation.activation if isinstance(operation, layers.Activation) else operation
    is_known = isinstance(function, keras.Operation) or getattr(function, "__module__", "").startswith(OWN_MODULES)
    return is_identity(operation) or (is_known and layer_type(node) in ("activation", "affine"))


def _has_small_constants(node: Node) -> bool:
    """Whether weights and arguments other than tensors are numbers or vectors, which belong to the channels."""
    symbols = set(map(id, node.arguments.keras_tensors))
    arguments = [*node.arguments.args, *node.arguments.kwargs.values()]
    constants = [part for part in arguments if not symbols.intersection(map(id, tree.flatten(part)))]
    own = vars(node.operation) if isinstance(node.operation, keras.Operation) else {}
    held = own.values() if not isinstance(node.operation, layers.Layer) else [own.get("scale"), own.get("offset")]
    return all(_rank(part) < 2 for part in (*constants, *held, *getattr(node.operation, "weights", ())))


def _rank(value: Any) -> int:
    """The number of axes of an array or of nested lists; 0 for anything else."""
    if isinstance(value, (list, tuple)):
        return 1 + max(map(_rank, value), default=0)
    is_array = isinstance(value, (np.ndarray, keras.Variable)) or ops.is_tensor(value)
    return len(value.shape) if is_array else 0
