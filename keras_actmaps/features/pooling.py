"""A convolution and its ReLU, before and after max and average pooling."""

from dataclasses import dataclass

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.layer_types import RELU, layer_type, operation_name
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.features.feature_maps import feature_maps, find_layers, is_kind
from keras_actmaps.methods.registry import check_count, check_seed

KERNEL = 3  # pixels, where none is asked for and there is no model


@dataclass(frozen=True, eq=False)
class Pooled:
    """What a convolution and ReLU make of images, float32 (N,h,w,K), and its pools of p x p, (N,h//p,w//p,K).

    name: the convolution, in words.
    """

    name: str
    before: np.ndarray
    maximum: np.ndarray
    average: np.ndarray


def pooling(
    model, images, layer=None, kernel_size=None, layers: int = 1, pool: int = 2, filters: int = 16, seed: int = 0
) -> list[Pooled]:
    """Features before and after max and average pooling: relu(conv(x)), the maximum and the mean of each p x p of it.

    The convolution is one of the model, `layer` (None = the first of more than one pixel), with the ReLU that follows
    it there; `layers` of them, each with its own, are those that come next. Where the model is None or a kernel_size is
    given, it is a fresh one: k x k, `filters` of He's initialisation from `seed`, same padding; `layers` of them stand
    on each other, with max pooling between. A list of kernel sizes gives the stacks one after the other.

    images: (N,H,W,C). Rows and columns that fill no window are left out. Raises ValueError for a layer that is no
    convolution, for images smaller than a kernel, features smaller than a window and images that do not fit the model.
    """
    for name, given in (("layers", layers), ("pool", pool), ("filters", filters)):
        check_count(name, given)
    check_seed(seed)
    images = backend.to_numpy(images)
    if images.ndim != 4 or not images.size:
        raise ValueError(f"pooling is shown of images (N,H,W,C), not of shape {images.shape}")
    if model is None or kernel_size is not None:
        if layer is not None:
            raise ValueError(f"layer={layer!r} and kernel_size={kernel_size!r}: give a layer of the model, or a fresh "
                             "convolution's kernel size")  # fmt: skip
        sizes = _sizes(kernel_size)
        _check_room(images.shape[1:3], sizes, layers, pool)
        return _fresh(images.astype("float32"), sizes, layers, pool, filters, seed)
    probe = as_traced(model, images=images)
    names = _activated(probe, layer, layers)
    found = feature_maps(probe, images, list(names.values()))
    return [_pooled(name, np.maximum(found[path], 0), pool) for name, path in names.items()]


def _activated(probe: TracedModel, layer, count: int) -> dict[str, str]:
    """`count` convolutions from `layer` on: in words, and the path of what gives their features behind the ReLU."""
    convolutions = find_layers(probe, "conv")
    wide = (path for path in convolutions if max(_kernel(probe, path)) > 1)
    first = find_layers(probe, layer or next(wide, convolutions[0]))[0]
    if first not in convolutions:
        raise ValueError(f"layer {first!r} is no convolution; there are: {', '.join(convolutions)}")
    chosen = convolutions[convolutions.index(first) :][:count]
    if len(chosen) < count:
        raise ValueError(f"layers={count}, but from {first!r} on there are {len(chosen)} convolutions")
    return {f"{path} ({by(_kernel(probe, path))}) + ReLU": _behind(probe, path) for path in chosen}


def _kernel(probe: TracedModel, path: str) -> tuple[int, ...]:
    """The sides of a convolution's kernel."""
    return _writer(probe, path).operation.kernel_size


def _behind(probe: TracedModel, path: str) -> str:
    """The layer that ends in the ReLU behind a convolution, with nothing but affine layers between; else itself."""
    slot = probe.graph.slot_of[path]
    if is_kind(_writer(probe, path).operation, "relu"):
        return path
    while True:
        readers = [step for step in probe.graph.nodes if slot in step.reads.values()]
        if len(readers) == 1 and operation_name(readers[0].operation) in RELU:
            return readers[0].path
        if len(readers) != 1 or layer_type(readers[0]) != "affine":
            return path
        slot = readers[0].writes[-1]


def _writer(probe: TracedModel, path: str):
    return probe.graph.producer(probe.graph.slot_of[path])


def _pooled(name: str, features: np.ndarray, pool: int) -> Pooled:
    """Features (N,h,w,K) and their pools; ValueError where these have no place."""
    if min(features.shape[1:3]) < pool:
        raise ValueError(f"pool={pool} is larger than what {name} gives, {by(features.shape[1:3])}")
    tensor = ops.convert_to_tensor(features)
    pools = (f(tensor, pool, pool, data_format="channels_last") for f in (ops.max_pool, ops.average_pool))
    return Pooled(name, features, *map(backend.to_numpy, pools))


def _fresh(images: np.ndarray, sizes: list[int], layers: int, pool: int, filters: int, seed: int) -> list[Pooled]:
    """Stacks of fresh convolutions, one for each kernel size."""
    found = []
    for size in sizes:
        random, features = np.random.default_rng(seed), images
        for depth in range(1, layers + 1):
            shape = (size, size, features.shape[-1], filters)
            kernel = random.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape).astype("float32")
            tensors = map(ops.convert_to_tensor, (features, kernel))
            convolved = ops.relu(ops.conv(*tensors, padding="same", data_format="channels_last"))
            name = f"fresh convolution{f' {depth}' if layers > 1 else ''} ({size}×{size}) + ReLU"
            found.append(_pooled(name, backend.to_numpy(convolved), pool))
            features = found[-1].maximum
    return found


def _check_room(sides: tuple[int, int], sizes: list[int], layers: int, pool: int) -> None:
    """ValueError where a kernel or a window is larger than what it is laid on."""
    for depth in range(layers):
        left = [side // pool**depth for side in sides]
        what = f"the pooled features of layer {depth}" if depth else "the images"
        for name, needed in (*(("kernel_size", size) for size in sizes), ("pool", pool)):
            if min(left) < needed:
                raise ValueError(f"{name}={needed} is larger than {what}, {by(left)} pixels")


def _sizes(kernel_size) -> list[int]:
    """A kernel size or several as a list; ValueError for what is none."""
    sizes = kernel_size if isinstance(kernel_size, (list, tuple)) else [KERNEL if kernel_size is None else kernel_size]
    if not sizes:
        raise ValueError(f"kernel_size={kernel_size!r} names no size")
    for size in sizes:
        check_count("kernel_size", size)
    return list(sizes)


def by(sides) -> str:
    """`28×28`"""
    return "×".join(map(str, sides))
