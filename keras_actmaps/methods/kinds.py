"""The two kinds of method that run as one compiled program: on the images, and on the features of a layer."""

import functools
from collections.abc import Callable

import numpy as np


def compiled(method: Callable) -> Callable:
    """A method `(probe, images, targets, *, setting=default) -> maps` of tensors, compiled once for each shape.

    The result can be called with arrays; `method.program` is the function itself.
    """

    @functools.wraps(method)
    def run(probe, images, targets=None, **settings):
        return np.asarray(probe.ask(method, images, probe.targets(targets, len(images)), **settings)[0])

    run.program = method
    run.takes_many = False
    return run


def at_layer(equation: Callable) -> Callable:
    """A method from its equation `(features, gradients, *, setting=default) -> maps` at the probe's layer.

    features (N,h,w,C) and gradients, those of the score at the features, give maps (N,h,w).
    """

    @functools.wraps(equation)
    def method(probe, images, targets, **settings):
        return probe.at_layer(images, targets, functools.partial(equation, **settings))

    run = compiled(method)
    run.takes_many = True
    return run


def space(features) -> tuple[int, ...]:
    """The axes of space of features (N, ..., C)."""
    return tuple(range(1, len(features.shape) - 1))
