"""Gradients of the scores of several classes at a layer, from one forward pass."""

from collections.abc import Callable

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.types import Tensor

LARGEST = 2**24  # numbers in the gradients of the classes that are propagated backward together


def map_classes(scores: Callable, tensors: list, targets: Tensor, function: Callable) -> Tensor:
    """`function(gradients)` for each of K classes per input, (N, K, ...).

    Parameters
    ----------
    scores : callable
        `(*tensors) -> (N, classes)`, called once.
    tensors : list of tensor
        Of shape (N, ...), at which gradients are taken.
    targets : int tensor (N, K)
    function : callable
        From a list of gradients, one for each of `tensors`, to a tensor (N, ...).
    """
    count = targets.shape[1]
    size = sum(int(np.prod(tensor.shape)) for tensor in tensors)
    width = max(1, min(count, LARGEST // size))
    blocks = -(-count // width)
    found, backward = backend.batched_gradients(scores, tensors)
    numbers = np.minimum(np.arange(blocks * width), count - 1).reshape(blocks, width)
    chosen = ops.take(ops.transpose(targets), numbers, axis=0)  # (blocks, width, N)

    def block(classes: Tensor) -> Tensor:
        gradients = backward(ops.one_hot(classes, found.shape[-1], dtype=found.dtype))
        return ops.map(lambda one: function(list(one)), tuple(gradients))

    maps = ops.map(block, chosen)
    return ops.moveaxis(ops.reshape(maps, (blocks * width, *maps.shape[2:]))[:count], 0, 1)


def mean_gradients(scores: Callable, features: Tensor, targets: Tensor) -> Tensor:
    """The gradients (N, K, C) of `scores`, `(shift) -> (N, classes)`, averaged over the positions of the features.

    They are those at a shift (N, 1, ..., C) of the features, divided by the number of positions.
    """
    space = features.shape[1:-1]
    shift = ops.zeros((features.shape[0], *(1 for _ in space), features.shape[-1]), features.dtype)

    def flat(gradients: list) -> Tensor:
        return ops.reshape(gradients[0], (features.shape[0], features.shape[-1])) / int(np.prod(space))

    return map_classes(scores, [shift], targets, flat)


def class_weights(scores: Callable, features: Tensor, classes: int) -> Tensor:
    """The mean gradients (classes, C) of all classes for a head of global average pooling and linear layers.

    They do not depend on the input, so that one position of each is enough.

    scores: `(features) -> (N, classes)`.
    """
    position = ops.zeros((classes, *(1 for _ in features.shape[1:-1]), features.shape[-1]), features.dtype)

    def diagonal(positions: Tensor) -> tuple[Tensor, None]:
        return ops.sum(scores(positions) * ops.eye(classes), axis=1), None

    (weights,), _ = backend.gradients(diagonal, [position])
    return ops.reshape(weights, (classes, -1)) / int(np.prod(features.shape[1:-1]))
