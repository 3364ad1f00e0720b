"""Features of a convolution with ReLU before and after max and average pooling."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.graph import Node
from keras_actmaps.core.layer_types import RELU, layer_type, operation_name
from keras_actmaps.core.settings import Seed, show
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.features.feature_maps import feature_maps, find_layers, is_of_type
from keras_actmaps.features.settings import Depth, Filters, KernelSize, Pool, validate_arguments

DEFAULT_SIZE = 3  # of a random convolution


@dataclass(frozen=True, eq=False)
class Pooled:
    """Features of a convolution with ReLU, float32, before and after pooling.

    Attributes
    ----------
    name : str
        The convolution, for a caption.
    before : array of shape (N, h, w, K)
    maximum, average : array of shape (N, h // pool, w // pool, K)
    """

    name: str
    before: Array
    maximum: Array
    average: Array


def pooling(
    model: Any,
    images: Any,
    layer: str | None = None,
    kernel_size: KernelSize = None,
    layers: Depth = 1,
    pool: Pool = 2,
    filters: Filters = 16,
    seed: Seed = 0,
) -> list[Pooled]:
    """Features relu(conv(x)) before and after max and average pooling (Scherer et al. 2010).

    Parameters
    ----------
    model : keras.Model, torch.nn.Module, Probe or None
        None uses random convolutions, as with `kernel_size`.
    images : array of shape (N, H, W, C)
    layer : str or None
        A convolution of the model, with the ReLU that follows it; None is the first with a kernel larger than 1x1.
    kernel_size : int, list of int or None
        Sizes of random convolutions with same padding, instead of the model's; one stack per size.
    layers : int
        Number of convolutions: of the model, from `layer` on, or random ones with max pooling between them.
    pool : int
        Side of a pooling window. Rows and columns that do not fill a window are omitted.
    filters, seed : int
        Number of filters of random convolutions, with He initialization, and their seed.

    Returns
    -------
    list of Pooled
        One per convolution.

    Raises
    ------
    ValueError
        For a layer that is not a convolution, for images smaller than a kernel, features smaller than a window, and
        images that do not fit the model.
    """
    kernel_size, layers, pool, filters, seed = validate_arguments(
        pooling, kernel_size=kernel_size, layers=layers, pool=pool, filters=filters, seed=seed
    )
    images = _validate_images(images)
    if model is None or kernel_size is not None:
        if layer is not None:
            raise ValueError(
                f"layer={show(layer)} is of the model and kernel_size={kernel_size} of random convolutions; pass one"
            )
        sizes = _as_list(kernel_size)
        _validate_sizes(images.shape[1:3], sizes, layers, pool)
        return _random_features(images.astype("float32"), sizes, layers, pool, filters, seed)
    traced = as_traced(model, inputs=images)
    paths = _paths_after_relu(traced, layer, layers)
    found = feature_maps(traced, images, list(paths.values()))
    return [_pool(name, np.maximum(found[path], 0), pool) for name, path in paths.items()]


def _validate_images(images: Any) -> Array:
    """Images as an array; ValueError if they are not numeric images."""
    try:
        array = backend.to_numpy(images)
    except (ValueError, TypeError):
        array = np.array(None, dtype=object)
    if array.ndim != 4 or not array.size or array.dtype.kind not in "iufb":
        raise ValueError(
            f"images must be numbers of shape (N, H, W, C), got shape {array.shape} and type {array.dtype}"
        )
    return array


def _paths_after_relu(traced: TracedModel, layer: str | None, count: int) -> dict[str, str]:
    """Names of `count` convolutions from `layer` on, each with the path of the layer that ends in its ReLU."""
    convolutions = find_layers(traced, "conv")
    wide = (path for path in convolutions if max(_kernel_size(traced, path)) > 1)
    first = find_layers(traced, next(wide, convolutions[0]) if layer is None else layer)[0]
    if first not in convolutions:
        raise ValueError(f"layer {first!r} is not a convolution; choices: {', '.join(convolutions)}")
    chosen = convolutions[convolutions.index(first) :][:count]
    if len(chosen) < count:
        raise ValueError(f"layers must be at most {len(chosen)}, the convolutions from {first!r} on, got {count}")
    return {f"{path} ({by(_kernel_size(traced, path))}) + ReLU": _path_after_relu(traced, path) for path in chosen}


def _kernel_size(traced: TracedModel, path: str) -> tuple[int, ...]:
    operation: Any = _producer(traced, path).operation
    return operation.kernel_size


def _path_after_relu(traced: TracedModel, path: str) -> str:
    """The layer that ends in the ReLU of a convolution, possibly after affine layers; else the convolution itself."""
    slot = traced.graph.slot_of[path]
    if is_of_type(_producer(traced, path).operation, "relu"):
        return path
    while True:
        readers = [node for node in traced.graph.nodes if slot in node.reads.values()]
        if len(readers) == 1 and operation_name(readers[0].operation) in RELU:
            return readers[0].path
        if len(readers) != 1 or layer_type(readers[0]) != "affine":
            return path
        slot = readers[0].writes[-1]


def _producer(traced: TracedModel, path: str) -> Node:
    slot = traced.graph.slot_of[path]
    return next(node for node in traced.graph.nodes if slot in node.writes)


def _pool(name: str, features: Array, pool: int) -> Pooled:
    """Features (N, h, w, K) and their pools; ValueError if the window is larger."""
    if min(features.shape[1:3]) < pool:
        raise ValueError(f"pool={pool} is larger than the features of {name}, {by(features.shape[1:3])}")
    tensor = ops.convert_to_tensor(features)
    pools = (f(tensor, pool, pool, data_format="channels_last") for f in (ops.max_pool, ops.average_pool))
    return Pooled(name, features, *map(backend.to_numpy, pools))


def _random_features(images: Array, sizes: list[int], layers: int, pool: int, filters: int, seed: int) -> list[Pooled]:
    """Stacks of random convolutions, one for each kernel size."""
    found = []
    for size in sizes:
        random, features = np.random.default_rng(seed), images
        for depth in range(1, layers + 1):
            shape = (size, size, features.shape[-1], filters)
            kernel = random.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape).astype("float32")
            tensors = map(ops.convert_to_tensor, (features, kernel))
            convolved = ops.relu(ops.conv(*tensors, padding="same", data_format="channels_last"))
            name = f"random convolution{f' {depth}' if layers > 1 else ''} ({size}×{size}) + ReLU"
            found.append(_pool(name, backend.to_numpy(convolved), pool))
            features = found[-1].maximum
    return found


def _validate_sizes(space: tuple[int, ...], sizes: list[int], layers: int, pool: int) -> None:
    """ValueError if a kernel or a window is larger than its input."""
    for depth in range(layers):
        left = [side // pool**depth for side in space]
        what = f"the pooled features of layer {depth}" if depth else "the images"
        for name, needed in (*(("kernel_size", size) for size in sizes), ("pool", pool)):
            if min(left) < needed:
                raise ValueError(f"{name}={needed} is larger than {what}, {by(left)} pixels")


def _as_list(kernel_size: Any) -> list[int]:
    """One kernel size or several as a list; ValueError for none."""
    if kernel_size is None:
        return [DEFAULT_SIZE]
    sizes = list(kernel_size) if isinstance(kernel_size, (list, tuple)) else [kernel_size]
    if not sizes:
        raise ValueError(f"kernel_size must have at least one size, got {kernel_size}")
    return sizes


def by(sides: Iterable[int]) -> str:
    """Side lengths as text: `28×28`."""
    return "×".join(map(str, sides))
