"""Layers with a kernel as functions of their kernel, with batch normalization folded in.

A propagation rule can apply such a layer with a different kernel. Kernel and bias are computed from the layers'
variables at every use, so they follow training.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import layers, ops

from keras_actmaps.core._keras_compat import causal_padding, effective_kernel, quantization_mode, with_kernel
from keras_actmaps.core.graph import Graph, Node, single_input_node
from keras_actmaps.core.plain_layers import KERNEL_LAYERS, is_plain
from keras_actmaps.core.rewrite import split_activations, with_activation
from keras_actmaps.core.types import Slot, Tensor

TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
PADDING = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)


@dataclass(frozen=True)
class Linear:
    """outputs = apply(inputs, kernel) + bias, with kernel, bias = weights(inputs).

    Attributes
    ----------
    layer : keras.layers.Layer
        The layer that the kernel and the bias come from.
    apply : callable
        `(inputs, kernel) -> outputs` without the bias.
    weights : callable
        `inputs -> (kernel, bias)`.
    layout : {"last", "depthwise", "transposed", "einsum"}
        Axis of the output channels in the kernel: the last, the last two together, the second last, or any.
    is_padded : bool
        Whether outputs at the border are computed from fewer inputs than others.
    """

    layer: keras.layers.Layer
    apply: Callable
    weights: Callable
    layout: str = "last"
    is_padded: bool = True

    def __call__(self, inputs: Tensor) -> Tensor:
        kernel, bias = self.weights(inputs)
        outputs = self.apply(inputs, kernel) + bias
        if not self.is_quantized:
            return outputs
        exact = ops.cast(self.layer(inputs), "float32")  # which rounds its inputs, too
        return outputs + ops.stop_gradient(exact - outputs)

    @property
    def is_convolution(self) -> bool:
        return hasattr(self.layer, "kernel_size")

    @property
    def is_quantized(self) -> bool:
        return quantization_mode(self.layer) is not None

    @property
    def can_fold(self) -> bool:
        """Whether another layer may be folded into the kernel."""
        return self.layout != "einsum" and not self.is_quantized

    @property
    def channel_axis(self) -> int:
        return 1 if getattr(self.layer, "data_format", "") == "channels_first" else -1

    def then(self, norm: layers.BatchNormalization) -> "Linear":
        """This layer and a batch normalization of its outputs."""

        def weights(inputs: Tensor) -> tuple[Tensor, Tensor]:
            kernel, bias = self.weights(inputs)
            scale, shift = scale_and_shift(norm)
            column = {"last": (-1,), "transposed": (-1, 1), "depthwise": kernel.shape[-2:]}[self.layout]
            return kernel * ops.reshape(scale, column), bias * per_channel(self.layer, scale) + per_channel(
                self.layer, shift
            )

        return replace(self, weights=weights)

    def after(self, norm: layers.BatchNormalization) -> "Linear":
        """A batch normalization of the inputs and this layer; padding is not shifted, so the bias varies in space."""

        def weights(inputs: Tensor) -> tuple[Tensor, Tensor]:
            kernel, bias = self.weights(inputs)
            scale, shift = scale_and_shift(norm)
            if not self.is_padded:
                summed = kernel * shift[:, None]
                kept = -2 if self.layout == "depthwise" else -1
                sums = ops.sum(summed, axis=tuple(range(len(kernel.shape) + kept)))
                return kernel * scale[:, None], bias + per_channel(self.layer, ops.reshape(sums, (-1,)))
            shifts = ops.zeros_like(inputs[:1]) + per_channel(self.layer, shift)
            rows = scale if self.layout == "transposed" else scale[:, None]
            return kernel * rows, bias + self.apply(shifts, kernel)

        return replace(self, weights=weights)

    def padded(self, padding: Callable) -> "Linear":
        """Zero padding of the inputs and this layer."""
        return replace(self, apply=lambda inputs, kernel: self.apply(padding(inputs), kernel), is_padded=True)


def per_channel(layer: Any, vector: Tensor) -> Tensor:
    """A vector (channels,) that broadcasts to the layer's inputs or outputs."""
    is_first = getattr(layer, "data_format", "") == "channels_first"
    return ops.reshape(vector, (-1, *(1,) * layer.rank)) if is_first else vector


def scale_and_shift(norm: layers.BatchNormalization) -> tuple[Tensor, Tensor]:
    """Batch normalization at inference as scale * x + shift, both (channels,)."""
    scale = ops.rsqrt(_value(norm.moving_variance) + norm.epsilon)
    scale = scale * _value(norm.gamma) if norm.scale else scale
    shift = -_value(norm.moving_mean) * scale
    return scale, (shift + _value(norm.beta) if norm.center else shift)


def dequantize(graph: Graph) -> Graph:
    """The graph, with quantized layers as `Linear`, whose gradients are those of the dequantized kernels."""
    nodes = (
        replace(node, operation=_linear(node.operation))
        if is_plain(node.operation, KERNEL_LAYERS) and quantization_mode(node.operation)
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


def with_exact_gradients(graph: Graph) -> Graph:
    """The graph with float8 layers, of which Keras rounds the gradients too, differentiated by the dequantized kernel.

    The outputs stay those of the layer. Keras' gradients of int8 and int4 layers are those of the dequantized kernels.
    """
    nodes = (
        replace(node, operation=_exactly_differentiated(node.operation))
        if is_plain(node.operation, KERNEL_LAYERS) and quantization_mode(node.operation) == "float8"
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


def _exactly_differentiated(layer: Any) -> Callable:
    linear = _linear(with_activation(layer, keras.activations.linear))
    return lambda inputs: layer.activation(linear(inputs))


def linearize(graph: Graph, keep: Iterable[Slot] = ()) -> Graph:
    """The same function with activations as separate nodes and layers with a kernel as `Linear`.

    Batch normalization and zero padding are folded into these unless another node reads the tensor in between, or its
    slot is one of `keep`.
    """
    graph = split_activations(graph)
    shapes = dict(graph.shapes)
    nodes = [part for node in graph.nodes for part in linear_nodes(node, shapes)]
    nodes = merge_pairs(nodes, {*keras.tree.flatten(graph.outputs), *keep}, shapes, _fold)
    known = {*graph.inputs, *(slot for node in nodes for slot in node.writes)}
    slot_of = {path: slot for path, slot in graph.slot_of.items() if slot in known}
    return replace(graph, nodes=tuple(nodes), slot_of=slot_of, shapes=shapes)


def linear_nodes(node: Node, shapes: dict) -> list[Node]:
    """A layer with a kernel as a `Linear`, a separable convolution as two; other nodes unchanged."""
    layer = node.operation
    if not is_plain(layer, KERNEL_LAYERS):
        return [node]
    if not isinstance(layer, SEPARABLE):
        return [replace(node, operation=_linear(layer))]
    depthwise, pointwise = _split_separable(layer)
    between = 1 + max(shapes)
    shape = list(shapes[node.writes[0]])
    shape[depthwise.channel_axis] = layer.pointwise_kernel.shape[-2]
    shapes[between] = tuple(shape)
    return [
        replace(node, operation=depthwise, writes=(between,)),
        single_input_node(node.path, pointwise, between, node.writes, shapes),
    ]


def _linear(layer: Any) -> Linear:
    """A Keras layer with a kernel as a `Linear`."""

    def apply(inputs: Tensor, kernel: Tensor) -> Tensor:
        kernel = ops.cast(kernel, layer.compute_dtype)
        return ops.cast(with_kernel(layer, kernel).call(ops.cast(inputs, layer.compute_dtype)), "float32")

    def weights(inputs: Tensor) -> tuple[Tensor, Tensor]:
        return _value(effective_kernel(layer)), _bias(layer)

    layouts = {DEPTHWISE: "depthwise", TRANSPOSED: "transposed", (layers.EinsumDense,): "einsum"}
    layout = next((layout for classes, layout in layouts.items() if isinstance(layer, classes)), "last")
    return Linear(layer, apply, weights, layout, _is_padded(layer))


def _is_padded(layer: Any) -> bool:
    """Whether outputs at the border of a layer with a kernel are computed from fewer inputs than others."""
    is_padding = getattr(layer, "padding", "valid") != "valid" and set(layer.kernel_size) != {1}
    return is_padding or isinstance(layer, TRANSPOSED)


def _split_separable(layer: Any) -> tuple[Linear, Linear]:
    """The depthwise and the pointwise convolution of a separable one."""

    def depthwise(inputs: Tensor, kernel: Tensor) -> Tensor:
        padding = layer.padding
        if padding == "causal":
            inputs, padding = ops.pad(inputs, causal_padding(layer)), "valid"
        return ops.depthwise_conv(inputs, kernel, layer.strides, padding, layer.data_format, layer.dilation_rate)

    def pointwise(inputs: Tensor, kernel: Tensor) -> Tensor:
        return ops.conv(inputs, kernel, 1, "valid", layer.data_format)

    return (
        Linear(
            layer,
            depthwise,
            lambda inputs: (_value(layer.depthwise_kernel), ops.zeros(())),
            "depthwise",
            _is_padded(layer),
        ),
        Linear(layer, pointwise, lambda inputs: (_value(layer.pointwise_kernel), _bias(layer)), is_padded=False),
    )


def _bias(layer: Any) -> Tensor:
    """The bias of a layer, broadcastable to its outputs; 0 without one."""
    return per_channel(layer, _value(layer.bias)) if layer.bias is not None else ops.zeros(())


def _value(variable: Any) -> Tensor:
    """The value of a variable as a float32 tensor."""
    return ops.cast(ops.convert_to_tensor(variable), "float32")


def merge_pairs(nodes: list[Node], keep: set[Slot], shapes: dict[Slot, tuple], fold: Callable) -> list[Node]:
    """Merge pairs of nodes of which only the second reads the first, unless the slot in between is in `keep`.

    fold: `(first, second) -> Linear`, or None where the nodes cannot be merged.
    """
    readers = Counter(slot for node in nodes for slot in node.reads.values())
    merged: list[Node] = []
    for node in nodes:
        while node.reads:
            read = next(iter(node.reads.values()))
            first = next((other for other in merged if other.writes == (read,)), None)
            alone = len(node.reads) == 1 and readers[read] == 1 and read not in keep
            operation = fold(first, node) if first and alone else None
            if first is None or operation is None:
                break
            merged = [other for other in merged if other is not first]
            path = first.path if isinstance(first.operation, Linear) else node.path
            node = single_input_node(path, operation, next(iter(first.reads.values())), node.writes, shapes)
        merged.append(node)
    return merged


def _fold(first: Node, second: Node) -> Linear | None:
    """Two consecutive nodes as one `Linear`; None if they cannot be folded."""
    before, after = first.operation, second.operation
    if isinstance(before, Linear) and before.can_fold and normalizes(after, before.channel_axis):
        return before.then(after)
    if not isinstance(after, Linear) or not after.can_fold:
        return None
    if normalizes(before, after.channel_axis) and getattr(after.layer, "groups", 1) == 1:
        return after.after(before)
    return after.padded(before) if is_plain(before, PADDING) else None


def normalizes(operation: Any, axis: int) -> bool:
    """Whether this is a batch normalization of the axis, which may be negative."""
    if not is_plain(operation, (layers.BatchNormalization,)):
        return False
    return operation.axis % operation.input_spec.ndim == axis % operation.input_spec.ndim
