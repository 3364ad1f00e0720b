"""What methods are made of: one compiled pass, an equation at a layer, many passes over perturbed images.

A method is a function with three marks that `explain` reads: `program`, the pure function behind a method that is
one compiled pass; `takes_many`, whether it takes targets (N,K) at once; `sums_to`, what its map should sum to.
"""

import functools
from collections.abc import Callable, Iterator

import numpy as np
from keras import ops

from keras_actmaps import engine

REDUCTIONS = ("sum", "max", "keep")


def compiled(method: Callable) -> Callable:
    """A method `(probe, images, targets, *, setting=default) -> maps` of tensors, compiled once for each shape."""

    @functools.wraps(method)
    def run(probe, images, targets=None, **settings):
        return np.asarray(probe.ask(method, images, probe.targets(targets, len(images)), **settings)[0])

    run.program = method
    return run


def at_layer(equation: Callable) -> Callable:
    """A method from its equation `(features, gradients, *, setting=default) -> maps` at the probe's layer.

    features (N,h,w,C) and gradients, those of the score at the features, give maps (N,h,w).
    """

    @functools.wraps(equation)
    def method(probe, images, targets, **settings):
        return probe.at_layer(images, targets, functools.partial(equation, **settings))

    return takes_many(compiled(method))


def takes_many(method: Callable) -> Callable:
    """Mark a method that takes targets (N,K) and gives maps (N,K,...)."""
    method.takes_many = True
    return method


def sums_to(expected: Callable) -> Callable:
    """Mark a method whose map sums to `expected(probe, images, targets, scores, settings) -> (N,)`."""

    def mark(method: Callable) -> Callable:
        method.sums_to = expected
        return method

    return mark


def sampled(
    probe, images: np.ndarray, targets, samples: int, perturb: Callable, program: Callable, **settings
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Ask a program about `samples` variants of each image, never holding more than `probe.batch_size` of them.

    perturb: (images (M,...), which sample of each (M,)) -> images (M,...). program: as in `Probe.ask`.
    Yields (which image, which sample, maps, scores), each of M rows, in the order of the samples.
    """
    which = np.tile(np.arange(len(images)), samples)
    sample = np.repeat(np.arange(samples), len(images))
    for (image_of, sample_of), real in engine.batches([which, sample], min(probe.batch_size, probe.size * samples)):
        batch = perturb(images[image_of], sample_of).astype("float32", copy=False)
        asked = targets if callable(targets) else targets[image_of]
        maps, _, scores = (np.asarray(tensor)[:real] for tensor in probe.ask(program, batch, asked, **settings))
        yield image_of[:real], sample_of[:real], maps, scores
        probe.report(real, len(which))


def scores_only(probe, images, targets):
    """A program for `sampled` that asks for scores only; its maps are the scores."""
    outputs = probe.outputs(images)
    probe.note(outputs, targets)
    return probe.score(outputs, targets)


def reduced(attributions, channels: str):
    """attributions (N,...,C) -> maps (N,...): their sum, the maximum of their absolute values, or all of them."""
    if channels not in REDUCTIONS:
        raise ValueError(f"no reduction channels={channels!r}; there are: {', '.join(REDUCTIONS)}")
    if channels == "keep" or len(attributions.shape) == 2:  # a table has no channels
        return attributions if channels != "max" else ops.abs(attributions)
    return ops.sum(attributions, axis=-1) if channels == "sum" else ops.max(ops.abs(attributions), axis=-1)


def space(features) -> tuple[int, ...]:
    """The axes of space of features (N, ..., C)."""
    return tuple(range(1, len(features.shape) - 1))
