"""Converters from calls of PyTorch modules, functions and methods to equivalent Keras layers.

A converter takes a `Call` and returns a layer, or None if Keras has no equivalent; the call is then made by
PyTorch itself, as a `TorchOperation`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import keras
from keras import layers
from torch import fx
from torch.nn import functional

from keras_actmaps.backend.torch_fx import layers as live_layers


@dataclass(frozen=True)
class Call:
    """A call to be converted.

    Attributes
    ----------
    path : str
        Path of the Keras layer.
    name : str
        As `names.canonical_name` returns it.
    node : fx.Node
    module : torch.nn.Module or None
        The module that is called.
    input_shape, output_shape : tuple of int
        Of the first input and of the output, in PyTorch's layout.
    batch_axis : int
        The axis of the output for the images.
    input_channels_last, output_channels_last : bool
        Whether Keras stores these with their channels last.
    reader : callable
        For an argument, the function that returns its current value; None if it depends on the images.
    values : mapping of fx.Node to object
        What each node returned when the module was traced.
    """

    path: str
    name: str
    node: fx.Node
    module: Any
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    batch_axis: int
    input_channels_last: bool
    output_channels_last: bool
    reader: Callable[[Any], Callable | None]
    values: Mapping[fx.Node, Any]

    @property
    def keras_shape(self) -> tuple[int | None, ...]:
        """The shape of the output in Keras' layout, None for the batch."""
        sides: list[int | None] = list(self.output_shape)
        sides[self.batch_axis] = None
        return (None, *sides[2:], sides[1]) if self.output_channels_last else tuple(sides)

    @property
    def has_one_position(self) -> bool:
        """Whether the output has channels, but only one position in space."""
        return self.input_channels_last and set(self.output_shape[2:]) <= {1}

    def setting(self, position: int, name: str, default: Any = None) -> Any:
        """The value of an attribute of the module, or of an argument of the function or method."""
        if self.module is not None:
            return getattr(self.module, name, default)
        value = self.argument(position, name, default)
        return self.values[value] if isinstance(value, fx.Node) else value

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument in the graph: a node or a constant."""
        args = self.node.args
        return args[position] if len(args) > position else self.node.kwargs.get(name, default)


Converted: TypeAlias = "keras.layers.Layer | None"


def convolution(call: Call) -> Converted:
    """Conv1d, Conv2d and Conv3d."""
    readers = _weight_readers(call)
    if not call.input_channels_last or readers is None:
        return None
    groups = call.input_shape[1] // readers["weight"]().shape[1]
    return live_layers.convolution(call.path, call.keras_shape, readers, _convolution_function(call), groups)


def transposed_convolution(call: Call) -> Converted:
    """ConvTranspose1d, ConvTranspose2d and ConvTranspose3d without groups."""
    module, readers = call.module, _weight_readers(call)
    if module is None or readers is None or not call.input_channels_last:
        return None
    if module.groups != 1 or len(call.node.args) > 1:
        return None
    function = getattr(functional, f"conv_transpose{len(module.kernel_size)}d")
    settings = {name: getattr(module, name) for name in ("stride", "padding", "output_padding", "dilation")}
    return live_layers.transposed_convolution(call.path, call.keras_shape, readers, partial(function, **settings))


def dense(call: Call) -> Converted:
    """Linear, on the last axis."""
    readers = None if call.input_channels_last else _weight_readers(call)
    return live_layers.dense(call.path, call.keras_shape, readers) if readers else None


def normalization(call: Call) -> Converted:
    """BatchNorm with running statistics."""
    if call.module is None or call.module.running_mean is None:
        return None
    if not call.input_channels_last and len(call.input_shape) != 2:
        return None
    return live_layers.batch_normalization(call.path, call.keras_shape, call.module)


def layer_normalization(call: Call) -> Converted:
    """LayerNorm of the last axis."""
    if call.module is None or call.input_channels_last or len(call.module.normalized_shape) != 1:
        return None
    return live_layers.layer_normalization(call.path, call.keras_shape, call.module)


def average_pooling(call: Call) -> Converted:
    """Average pooling over all positions."""
    is_global = call.name.startswith("adaptive") or _pooling_window(call) == call.input_shape[2:]
    return _global_pooling(call, keepdims=True) if is_global and call.has_one_position else None


def mean(call: Call) -> Converted:
    """The mean over all axes of space."""
    axes, rank = call.setting(1, "dim"), len(call.input_shape)
    axes = [axes] if isinstance(axes, int) else axes
    if not call.input_channels_last or axes is None:
        return None
    if sorted(axis % rank for axis in axes) != list(range(2, rank)):
        return None
    return _global_pooling(call, keepdims=len(call.output_shape) == rank)


def flatten(call: Call) -> Converted:
    """Any reshaping to (N, features)."""
    if len(call.output_shape) != 2 or call.output_shape[0] != call.input_shape[0]:
        return None
    has_positions = call.input_channels_last and max(call.input_shape[2:]) > 1
    if len(call.input_shape) > 2 and not has_positions:
        return layers.Flatten(data_format="channels_last", name=call.path, dtype="float32")
    return identity(call) if call.input_shape == call.output_shape else None


def permute(call: Call) -> Converted:
    """A permutation between channels first and channels last, which is the identity in Keras' layout."""
    return identity(call) if call.input_channels_last != call.output_channels_last else None


def identity(call: Call) -> Converted:
    """Any call that returns its input at inference."""
    return layers.Identity(name=call.path, dtype="float32")


CONVERTERS: dict[str, Callable[[Call], Converted]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution),
    **dict.fromkeys(("convtranspose1d", "convtranspose2d", "convtranspose3d"), transposed_convolution),
    **dict.fromkeys(("batchnorm1d", "batchnorm2d", "batchnorm3d", "syncbatchnorm"), normalization),
    **dict.fromkeys(("adaptiveavgpool1d", "adaptiveavgpool2d", "adaptiveavgpool3d"), average_pooling),
    **dict.fromkeys(("avgpool1d", "avgpool2d", "avgpool3d"), average_pooling),
    **dict.fromkeys(("flatten", "view", "reshape", "squeeze"), flatten),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d", "alphadropout"), identity),  # in either mode
    **{"linear": dense, "layernorm": layer_normalization, "mean": mean, "permute": permute},
}


def _weight_readers(call: Call) -> dict[str, Callable] | None:
    """Readers of weight and bias; None if these depend on the images."""
    if call.module is not None:
        names = [name for name in ("weight", "bias") if getattr(call.module, name) is not None]
        return {name: partial(getattr, call.module, name) for name in names}
    arguments = {"weight": call.argument(1, "weight"), "bias": call.argument(2, "bias")}
    readers = {}
    for name, argument in arguments.items():
        if argument is None:
            continue
        reader = call.reader(argument)
        if reader is None:
            return None
        readers[name] = reader
    return readers


def _convolution_function(call: Call) -> Callable:
    """`(inputs, weight, bias) -> outputs`, with the settings of the call."""
    if call.module is not None:
        return call.module._conv_forward
    function: Any = call.node.target
    settings = {name: value for name, value in call.node.kwargs.items() if name not in ("input", "weight", "bias")}
    return lambda inputs, weight, bias: function(inputs, weight, bias, *call.node.args[3:], **settings)


def _pooling_window(call: Call) -> tuple[int, ...] | None:
    """The window of a pooling without padding; None with padding."""
    window, padding = call.setting(1, "kernel_size"), call.setting(3, "padding", 0)
    sides = (window,) * (len(call.input_shape) - 2) if isinstance(window, int) else tuple(window)
    return None if padding not in (0, (0,) * len(sides)) else sides


def _global_pooling(call: Call, keepdims: bool) -> keras.layers.Layer:
    cls = live_layers.GLOBAL_POOLINGS[len(call.input_shape) - 3]
    return cls(data_format="channels_last", keepdims=keepdims, name=call.path, dtype="float32")
