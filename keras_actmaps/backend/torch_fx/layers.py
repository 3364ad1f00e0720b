"""Keras layers and operations that compute, channels last, on a torch module's parameters of the moment."""

from collections.abc import Callable
from functools import partial

import keras
import torch
from keras import layers, ops, tree
from torch.nn import functional

CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
POOLS = (layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D)


def first(tensor):
    """(N,...,C) -> (N,C,...)."""
    return tensor.movedim(-1, 1)


def last(tensor):
    """(N,C,...) -> (N,...,C)."""
    return tensor.movedim(1, -1)


def here(tensor, dtype: str = "float32"):
    """A tensor where Keras computes, floats of that type, without a record for autograd."""
    return ops.convert_to_tensor(tensor.detach(), dtype if tensor.is_floating_point() else None)


def stored(tensor, rank: int):
    """A tensor channels last if it has as many axes as the images, and these have channels."""
    return last(tensor) if tensor.dim() == rank > 2 else tensor


def images_of(shape: tuple) -> keras.KerasTensor:
    """Keras' input for images (C,H,W)."""
    return keras.Input((*shape[1:], *shape[:1]), name="images")


def symbol(shape: tuple) -> keras.KerasTensor:
    """A tensor of that shape, for any number of images."""
    return keras.KerasTensor((None, *shape[1:]) if shape else ())


class LiveWeight:
    """A weight that a layer reads at each use, unless a copy of the layer was given one; `sources` says from where."""

    def __set_name__(self, owner, name: str):
        self.name = name

    def __get__(self, layer, owner=None):
        read = layer and layer.sources.get(self.name)
        return here(read(), layer.compute_dtype) if read else None


class LiveLayer:
    """A Keras layer without variables of its own. sources: {weight: what reads it}; shape: that of the outputs."""

    kernel, bias, gamma, beta, moving_mean, moving_variance = (LiveWeight() for _ in range(6))

    def __init__(self, sources: dict, shape: tuple, **settings):
        super().__init__(**settings, dtype="float32")
        for name in sources:
            self.__dict__.pop(name, None)
        self.__dict__.update(sources=sources, shape=shape)

    def build(self, input_shape):
        """There is nothing to make."""

    def compute_output_spec(self, *args, **kwargs):
        return keras.KerasTensor(self.shape)


class Convolution(LiveLayer):
    """A convolution of any kind. function: (inputs, weight, bias), as torch lays them out -> outputs."""

    def __init__(self, function: Callable, sources: dict, shape: tuple, **settings):
        super().__init__(sources, shape, **settings, use_bias="bias" in sources, data_format="channels_last")
        self.__dict__["function"] = function

    def call(self, inputs):
        weight = self.kernel.movedim((-1, -2), (0, 1))
        return last(self.function(first(inputs), weight, self.bias if self.use_bias else None))


class Normalization(LiveLayer):
    """Batch normalisation of the last axis, at inference."""

    def call(self, inputs, training=None, mask=None):
        statistics = self.moving_mean, self.moving_variance
        return last(functional.batch_norm(first(inputs), *statistics, self.gamma, self.beta, eps=self.epsilon))


class TorchOperation(keras.Operation):
    """torch itself, called on tensors that are laid out as it wants them.

    function: of torch's tensors. is_last: for each input, whether it is stored channels last. written: KerasTensors in
    the structure of the outputs, as they are stored. stores: what stores an output.
    """

    def __init__(self, name: str, function: Callable, is_last: tuple, written, stores: Callable):
        super().__init__(name=name)
        self._function, self._is_last, self._written, self._stores = function, is_last, written, stores

    def compute_output_spec(self, *tensors):
        return tree.map_structure(lambda symbol: keras.KerasTensor(symbol.shape, symbol.dtype), self._written)

    def call(self, *tensors):
        tensors = map(ops.convert_to_tensor, tensors)
        tensors = [part.float() if part.is_floating_point() else part for part in tensors]
        given = (first(part) if is_last else part for part, is_last in zip(tensors, self._is_last))
        return tree.map_structure(self._stores, self._function(*given))


def renamed_class(word: str, base: type) -> type:
    """The class under another name, which is what rules and messages go by."""
    return type(word, (base,), {"__module__": __name__})


LIVE = {cls: type(cls.__name__, (Convolution, cls), {"__module__": __name__}) for cls in (*CONVOLUTIONS, *TRANSPOSED)}
Dense = type("Dense", (LiveLayer, layers.Dense), {"__module__": __name__})
BatchNormalization = type("BatchNormalization", (Normalization, layers.BatchNormalization), {"__module__": __name__})


def convolution(name: str, shape: tuple, sources: dict, function: Callable, groups: int):
    """A Keras convolution; weight (O,I,...) -> kernel (...,I,O)."""
    weight = sources["weight"]
    outputs, _, *size = weight().shape
    cls = LIVE[CONVOLUTIONS[len(size) - 1]]
    return cls(function, _kernel(sources), shape, filters=outputs, kernel_size=tuple(size), groups=groups, name=name)


def transposed(name: str, shape: tuple, sources: dict, function: Callable):
    """A Keras transposed convolution; weight (I,O,...) -> kernel (...,O,I)."""
    _, outputs, *size = sources["weight"]().shape
    cls = LIVE[TRANSPOSED[len(size) - 1]]
    return cls(function, _kernel(sources), shape, filters=outputs, kernel_size=tuple(size), name=name)


def dense(name: str, shape: tuple, sources: dict):
    """A Keras Dense layer; weight (O,I) -> kernel (I,O)."""
    return Dense(_kernel(sources), shape, units=shape[-1], use_bias="bias" in sources, name=name)


def normalization(name: str, shape: tuple, module: torch.nn.Module):
    """Keras' batch normalisation of the last axis, at inference."""
    names = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    sources = {own: partial(getattr, module, its) for own, its in names.items() if getattr(module, its) is not None}
    settings = {"epsilon": module.eps, "scale": "gamma" in sources, "center": "beta" in sources}
    layer = BatchNormalization(sources, shape, axis=-1, **settings, name=name)
    layer.input_spec = layers.InputSpec(ndim=len(shape))
    return layer


def _kernel(sources: dict) -> dict:
    """The sources as Keras names and lays them out."""
    kernel = {"kernel": lambda: sources["weight"]().movedim((0, 1), (-1, -2))}
    return {**kernel, "bias": sources["bias"]} if "bias" in sources else kernel
