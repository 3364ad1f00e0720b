"""Layers with a kernel as functions of it, so that a rule can put another in; batch normalisation folded in.

Kernel and bias are computed from the layers' variables whenever they are asked for, so they follow training.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import keras
from keras import layers, ops

from keras_actmaps import rewire

TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
PADDING = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)


@dataclass(frozen=True)
class Linear:
    """outputs = apply(inputs, kernel) + bias, with kernel, bias = weights(inputs).

    layer: where kernel and bias come from. layout: which axis of the kernel is that of the outputs: "last",
    "depthwise" (the last two) or "transposed" (the last but one).
    """

    layer: keras.layers.Layer
    apply: Callable
    weights: Callable
    layout: str = "last"

    def __call__(self, inputs):
        kernel, bias = self.weights(inputs)
        return self.apply(inputs, kernel) + bias

    @property
    def is_convolution(self) -> bool:
        return not isinstance(self.layer, layers.Dense)

    @property
    def channel_axis(self) -> int:
        return 1 if getattr(self.layer, "data_format", "") == "channels_first" else -1

    def then(self, norm) -> "Linear":
        """This layer and a batch normalisation of its outputs."""

        def weights(inputs):
            kernel, bias = self.weights(inputs)
            scale, shift = scale_and_shift(norm)
            column = {"last": (-1,), "transposed": (-1, 1), "depthwise": kernel.shape[-2:]}[self.layout]
            return kernel * ops.reshape(scale, column), bias * per_channel(self.layer, scale) + per_channel(
                self.layer, shift
            )

        return replace(self, weights=weights)

    def after(self, norm) -> "Linear":
        """A batch normalisation of the inputs and this layer; padding sees no shift, so the bias has places."""

        def weights(inputs):
            kernel, bias = self.weights(inputs)
            scale, shift = scale_and_shift(norm)
            shifts = ops.zeros_like(inputs[:1]) + per_channel(self.layer, shift)
            rows = scale if self.layout == "transposed" else scale[:, None]
            return kernel * rows, bias + self.apply(shifts, kernel)

        return replace(self, weights=weights)

    def padded(self, padding) -> "Linear":
        """Zero padding of the inputs and this layer."""
        return replace(self, apply=lambda inputs, kernel: self.apply(padding(inputs), kernel))


def per_channel(layer, vector):
    """A vector (channels,) that broadcasts to the layer's inputs or outputs."""
    is_first = getattr(layer, "data_format", "") == "channels_first"
    return ops.reshape(vector, (-1, *(1,) * layer.rank)) if is_first else vector


def scale_and_shift(norm: layers.BatchNormalization):
    """Batch normalisation at inference as scale * x + shift, both (channels,)."""
    scale = ops.rsqrt(_value(norm.moving_variance) + norm.epsilon)
    scale = scale * _value(norm.gamma) if norm.scale else scale
    shift = -_value(norm.moving_mean) * scale
    return scale, (shift + _value(norm.beta) if norm.center else shift)


def linearised(graph: rewire.Graph) -> rewire.Graph:
    """The same function: activations are steps of their own, layers with a kernel are `Linear`.

    Batch normalisation and zero padding are taken into these wherever nothing else reads what lies between.
    """
    graph = rewire.split_activations(graph)
    shapes = dict(graph.shapes)
    steps = [part for step in graph.steps for part in _with_kernels(step, shapes)]
    steps = _merged(steps, set(keras.tree.flatten(graph.outputs)), shapes)
    known = {*graph.inputs, *(slot for step in steps for slot in step.writes)}
    places = {path: slot for path, slot in graph.places.items() if slot in known}
    return replace(graph, steps=tuple(steps), places=places, shapes=shapes)


def _with_kernels(step: rewire.Step, shapes: dict) -> list[rewire.Step]:
    """A layer with a kernel as a `Linear`, a separable convolution as two of them; other steps as they are."""
    layer = step.operation
    if not rewire.is_plain(layer, rewire.KERNELS):
        return [step]
    if not isinstance(layer, SEPARABLE):
        return [replace(step, operation=_linear(layer))]
    depthwise, pointwise = _separated(layer)
    between = 1 + max(shapes)
    shape = list(shapes[step.writes[0]])
    shape[depthwise.channel_axis] = layer.pointwise_kernel.shape[-2]
    shapes[between] = tuple(shape)
    return [
        replace(step, operation=depthwise, writes=(between,)),
        rewire.step_of(step.path, pointwise, between, step.writes, shapes),
    ]


def _linear(layer) -> Linear:
    def apply(inputs, kernel):
        kernel = ops.cast(kernel, layer.compute_dtype)
        bare = {"kernel": kernel, "_kernel": kernel, "lora_enabled": False, "use_bias": False, "bias": None}
        return ops.cast(rewire.twin(layer, **bare).call(ops.cast(inputs, layer.compute_dtype)), "float32")

    def weights(inputs):
        return _value(layer.kernel), _bias(layer)

    if isinstance(layer, DEPTHWISE):
        return Linear(layer, apply, weights, "depthwise")
    return Linear(layer, apply, weights, "transposed" if isinstance(layer, TRANSPOSED) else "last")


def _separated(layer) -> tuple[Linear, Linear]:
    """The depthwise and the pointwise half of a separable convolution."""

    def depthwise(inputs, kernel):
        padding = layer.padding
        if padding == "causal":
            inputs, padding = ops.pad(inputs, layer._compute_causal_padding()), "valid"
        return ops.depthwise_conv(inputs, kernel, layer.strides, padding, layer.data_format, layer.dilation_rate)

    def pointwise(inputs, kernel):
        return ops.conv(inputs, kernel, 1, "valid", layer.data_format)

    return (
        Linear(layer, depthwise, lambda inputs: (_value(layer.depthwise_kernel), ops.zeros(())), "depthwise"),
        Linear(layer, pointwise, lambda inputs: (_value(layer.pointwise_kernel), _bias(layer))),
    )


def _bias(layer):
    return per_channel(layer, _value(layer.bias)) if layer.use_bias else ops.zeros(())


def _value(variable):
    return ops.cast(ops.convert_to_tensor(variable), "float32")


def _merged(steps, outputs: set, shapes: dict) -> list[rewire.Step]:
    """Neighbours of which nothing but the second reads the first, made one where `_merge` can."""
    readers = Counter(slot for step in steps for slot in step.reads.values())
    merged = []
    for step in steps:
        while True:
            read = next(iter(step.reads.values()))
            first = next((other for other in merged if other.writes == (read,)), None)
            alone = len(step.reads) == 1 and readers[read] == 1 and read not in outputs
            operation = _merge(first.operation, step.operation) if first and alone else None
            if operation is None:
                break
            merged = [other for other in merged if other is not first]
            path = first.path if isinstance(first.operation, Linear) else step.path
            step = rewire.step_of(path, operation, next(iter(first.reads.values())), step.writes, shapes)
        merged.append(step)
    return merged


def _merge(first, second) -> Linear | None:
    if isinstance(first, Linear) and _normalises(second, first.channel_axis):
        return first.then(second)
    if not isinstance(second, Linear):
        return None
    if _normalises(first, second.channel_axis) and getattr(second.layer, "groups", 1) == 1:
        return second.after(first)
    return second.padded(first) if rewire.is_plain(first, PADDING) else None


def _normalises(operation, axis: int) -> bool:
    """Batch normalisation of this axis, be it counted from the front or from the back."""
    if not rewire.is_plain(operation, (layers.BatchNormalization,)):
        return False
    return operation.axis % operation.input_spec.ndim == axis % operation.input_spec.ndim
