"""Channels-last Keras layers and operations that compute with the current parameters of a PyTorch module."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import keras
from keras import layers, ops, tree
from torch import Tensor
from torch.nn import functional

CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
GLOBAL_POOLINGS = (layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D)

Readers = Mapping[str, Callable[[], Tensor]]  # name of a weight -> function that returns its current value


def to_channels_first(tensor: Tensor) -> Tensor:
    """(N, ..., C) -> (N, C, ...)."""
    return tensor.movedim(-1, 1)


def to_channels_last(tensor: Tensor) -> Tensor:
    """(N, C, ...) -> (N, ..., C)."""
    return tensor.movedim(1, -1)


def to_keras_layout(tensor: Tensor, rank: int) -> Tensor:
    """Channels last for a tensor with as many axes as the model's inputs, if these have axes of space."""
    return to_channels_last(tensor) if tensor.dim() == rank > 2 else tensor


def to_keras_device(tensor: Tensor, dtype: str = "float32") -> Tensor:
    """A detached tensor on the device that Keras computes on; floating-point values are cast to `dtype`."""
    return ops.convert_to_tensor(tensor.detach(), dtype if tensor.is_floating_point() else None)


def unchanged(tensor: Tensor) -> Tensor:
    """The tensor itself."""
    return tensor


def keras_input(shape: Sequence[int]) -> keras.KerasTensor:
    """The Keras input for images of shape (C, H, W)."""
    return keras.Input((*shape[1:], *shape[:1]), name="images")


def symbolic_tensor(shape: Sequence[int | None]) -> keras.KerasTensor:
    """A symbolic tensor of this shape for any batch size."""
    return keras.KerasTensor((None, *shape[1:]) if shape else ())


class LiveWeight:
    """A weight that is read from the PyTorch module at every use.

    It is no data descriptor: a copy of the layer may set an attribute of the same name instead.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        read = layer and layer.readers.get(self.name)
        return to_keras_device(read(), layer.compute_dtype) if read else None


class LiveLayer(keras.layers.Layer):
    """Base of Keras layers without variables, whose weights are read from the PyTorch module.

    Parameters
    ----------
    readers : mapping of str to callable
        For each weight, by Keras' name, the function that returns its current value.
    output_shape : tuple
        Of the outputs, None for the batch.
    **settings
        Those of the Keras layer.
    """

    kernel, bias, gamma, beta, moving_mean, moving_variance = (LiveWeight() for _ in range(6))
    converted_shape: tuple

    def __init__(self, readers: Readers, output_shape: tuple, **settings: Any):
        super().__init__(**settings, dtype="float32")
        for name in readers:
            self.__dict__.pop(name, None)
        self.__dict__.update(readers=readers, converted_shape=output_shape)

    def build(self, input_shape: Any) -> None:
        """Create no variables."""

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        """The symbolic outputs."""
        return keras.KerasTensor(self.converted_shape)


class Convolution(LiveLayer):
    """A convolution of any rank, transposed or not, computed by `function(inputs, weight, bias)` of PyTorch."""

    function: Callable
    use_bias: bool

    def __init__(self, function: Callable, readers: Readers, output_shape: tuple, **settings: Any):
        super().__init__(readers, output_shape, **settings, use_bias="bias" in readers, data_format="channels_last")
        self.__dict__["function"] = function

    def call(self, inputs: Tensor) -> Tensor:
        """(N, ..., C) -> (N, ..., filters)."""
        weight = self.kernel.movedim((-1, -2), (0, 1))
        outputs = self.function(to_channels_first(inputs), weight, self.bias if self.use_bias else None)
        return to_channels_last(outputs)


class Normalization(LiveLayer):
    """Batch normalization of the last axis, at inference."""

    epsilon: float

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Tensor:
        """Normalize with the module's running statistics, for any value of `training`."""
        statistics = self.moving_mean, self.moving_variance
        inputs = to_channels_first(inputs)
        return to_channels_last(functional.batch_norm(inputs, *statistics, self.gamma, self.beta, eps=self.epsilon))


class TorchOperation(keras.Operation):
    """A PyTorch function as a Keras operation.

    Parameters
    ----------
    name : str
    function : callable
        Of PyTorch tensors in PyTorch's layout.
    inputs_channels_last : tuple of bool
        For each input, whether it must be moved from channels last to channels first.
    output_spec : structure of KerasTensor
        The outputs in Keras' layout.
    to_layout : callable
        Converts an output to Keras' layout.
    inner_names : tuple of str
        Classes and activation functions inside the module that is called, such as a TransformerEncoderLayer.
    """

    def __init__(
        self,
        name: str,
        function: Callable,
        inputs_channels_last: tuple[bool, ...],
        output_spec: Any,
        to_layout: Callable,
        inner_names: tuple[str, ...] = (),
    ):
        super().__init__(name=name)
        self.inner_names = inner_names
        self._function, self._inputs_channels_last = function, inputs_channels_last
        self._output_spec, self._to_layout = output_spec, to_layout

    def compute_output_spec(self, *tensors: Any) -> Any:
        """The symbolic outputs."""
        return tree.map_structure(lambda spec: keras.KerasTensor(spec.shape, spec.dtype), self._output_spec)

    def call(self, *tensors: Tensor) -> Any:
        """The function's outputs in Keras' layout."""
        converted = [ops.convert_to_tensor(tensor) for tensor in tensors]
        converted = [tensor.float() if tensor.is_floating_point() else tensor for tensor in converted]
        arguments = (
            to_channels_first(tensor) if is_last else tensor
            for tensor, is_last in zip(converted, self._inputs_channels_last)
        )
        return tree.map_structure(self._to_layout, self._function(*arguments))


def renamed_class(name: str, *bases: type) -> Any:
    """A subclass with the name that rules and error messages use for the operation."""
    return type(name, bases, {"__module__": __name__})


LIVE_CONVOLUTIONS = {cls: renamed_class(cls.__name__, Convolution, cls) for cls in (*CONVOLUTIONS, *TRANSPOSED)}
Dense = renamed_class("Dense", LiveLayer, layers.Dense)
BatchNormalization = renamed_class("BatchNormalization", Normalization, layers.BatchNormalization)
LayerNormalization = renamed_class("LayerNormalization", LiveLayer, layers.LayerNormalization)


def convolution(name: str, shape: tuple, readers: Readers, function: Callable, groups: int) -> keras.layers.Layer:
    """A Keras convolution; weight (O, I, ...) -> kernel (..., I, O)."""
    filters, _, *size = readers["weight"]().shape
    cls = LIVE_CONVOLUTIONS[CONVOLUTIONS[len(size) - 1]]
    settings = {"filters": filters, "kernel_size": tuple(size), "groups": groups, "name": name}
    return cls(function, _kernel_and_bias(readers), shape, **settings)


def transposed_convolution(name: str, shape: tuple, readers: Readers, function: Callable) -> keras.layers.Layer:
    """A Keras transposed convolution; weight (I, O, ...) -> kernel (..., O, I)."""
    _, filters, *size = readers["weight"]().shape
    cls = LIVE_CONVOLUTIONS[TRANSPOSED[len(size) - 1]]
    return cls(function, _kernel_and_bias(readers), shape, filters=filters, kernel_size=tuple(size), name=name)


def dense(name: str, shape: tuple, readers: Readers) -> keras.layers.Layer:
    """A Keras Dense layer; weight (O, I) -> kernel (I, O)."""
    return Dense(_kernel_and_bias(readers), shape, units=shape[-1], use_bias="bias" in readers, name=name)


def batch_normalization(name: str, shape: tuple, module: Any) -> keras.layers.Layer:
    """Keras' batch normalization of the last axis for a module, at inference."""
    names = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    readers = {
        keras_name: partial(getattr, module, torch_name)
        for keras_name, torch_name in names.items()
        if getattr(module, torch_name) is not None
    }
    settings = {"epsilon": module.eps, "scale": "gamma" in readers, "center": "beta" in readers}
    layer = BatchNormalization(readers, shape, axis=-1, **settings, name=name)
    layer.input_spec = layers.InputSpec(ndim=len(shape))
    return layer


def layer_normalization(name: str, shape: tuple, module: Any) -> keras.layers.Layer:
    """Keras' layer normalization of the last axis for a `LayerNorm`."""
    names = {"gamma": "weight", "beta": "bias"}
    readers = {
        own: partial(getattr, module, other) for own, other in names.items() if getattr(module, other) is not None
    }
    settings = {"epsilon": module.eps, "scale": "gamma" in readers, "center": "beta" in readers}
    return LayerNormalization(readers, shape, axis=-1, **settings, name=name)


def _kernel_and_bias(readers: Readers) -> Readers:
    """Readers of `weight` and `bias` as readers of Keras' `kernel` and `bias`."""
    kernel = {"kernel": lambda: readers["weight"]().movedim((0, 1), (-1, -2))}
    return {**kernel, "bias": readers["bias"]} if "bias" in readers else kernel
