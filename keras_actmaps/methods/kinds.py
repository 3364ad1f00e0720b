"""What methods are made of: one compiled pass, an equation at a layer, many passes over perturbed images.

A method is a function with marks that `explain` reads: `program`, the pure function behind a method that is one
compiled pass; `check`, what looks at images and settings before any work; `takes_many`, whether it takes targets (N,K)
at once; `of_layer`, whether its maps are those of the probe's layer; `sums_to`, what its map should sum to.
"""

import functools
import inspect
from collections.abc import Callable, Iterator

import numpy as np
from keras import ops

from keras_actmaps import engine

REDUCTIONS = ("sum", "max", "keep")


def settings_of(method: Callable) -> dict:
    """The settings of a method and their defaults."""
    parameters = inspect.signature(method).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def own_settings(method: Callable, given: dict) -> dict:
    """Those of the settings, given for several methods at once, that this one has."""
    return {key: value for key, value in given.items() if key in settings_of(method)}


def compiled(method: Callable) -> Callable:
    """A method `(probe, images, targets, *, setting=default) -> maps` of tensors, compiled once for each shape."""

    @functools.wraps(method)
    def run(probe, images, targets=None, **settings):
        return engine.to_numpy(probe.ask(method, images, probe.targets(targets, len(images)), **settings)[0])

    run.program = method
    return run


def at_layer(equation: Callable) -> Callable:
    """A method from its equation `(features, gradients, *, setting=default) -> maps` at the probe's layer.

    features (N,h,w,C) and gradients, those of the score at the features, give maps (N,h,w).
    """

    @functools.wraps(equation)
    def method(probe, images, targets, **settings):
        one_layer(probe, equation.__name__)
        return probe.at_layer(images, targets, functools.partial(equation, **settings))

    return of_layer(takes_many(compiled(method)))


def many_passes(check: Callable) -> Callable:
    """A method `(probe, images, targets, *, setting=default) -> maps` of numpy images that asks `probe` many times.

    `check(probe, images, **settings)` raises ValueError, before any work, for settings that do not fit. The method
    gets its targets resolved: the class predicted for the images, not for what is made of them.
    """

    def mark(method: Callable) -> Callable:
        @functools.wraps(method)
        def run(probe, images, targets=None, **given):
            settings = {**(method.__kwdefaults__ or {}), **given}
            check(probe, images, **settings)
            targets = probe.targets(targets, len(images))
            if not callable(targets) and (targets < 0).any():
                targets = engine.to_numpy(probe.ask(scores_only, images, targets)[1])
            return method(probe, images, targets, **settings)

        run.check = check
        return run

    return mark


def of_layer(method: Callable) -> Callable:
    """Mark a method whose maps are those of the probe's layer."""
    method.of_layer = True
    return method


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
        maps, _, scores = (engine.to_numpy(tensor)[:real] for tensor in probe.ask(program, batch, asked, **settings))
        probe.ran(real - len(batch))
        yield image_of[:real], sample_of[:real], maps, scores
        probe.report(real, len(which))


def scores_only(probe, images, targets):
    """A program for `sampled` that asks for scores only; its maps are the scores."""
    outputs = probe.outputs(images)
    probe.note(outputs, targets)
    return probe.score(outputs, targets)


def features_only(probe, images, targets):
    """A program that asks for the features of the probe's one layer; its maps are the features."""
    values, (slot,), head = probe.split(images)
    probe.note(probe.finish(head, values), targets)
    return values[slot]


def accumulate(total: np.ndarray, image_of: np.ndarray, rows: np.ndarray) -> None:
    """Add to total[i] all rows that belong to image i."""
    share = np.arange(len(total))[:, None] == image_of
    total += np.tensordot(share.astype(total.dtype), rows, axes=1)


def one_layer(probe, method: str) -> None:
    """ValueError where the probe has no layer, or a list of layers, which `method` cannot fuse."""
    layers = probe.need_layers()
    if isinstance(probe.layer, list):
        raise ValueError(f"{method} takes one layer and cannot fuse {', '.join(layers)}; layercam can")


def check_count(name: str, value) -> None:
    """ValueError for anything but a whole number above 0."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r} is no number of {name}; give 1 or more")


def check_seed(seed) -> None:
    """ValueError for anything but a whole number of 0 or more."""
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed={seed!r} is no seed; give a whole number of 0 or more")


def check_channels(channels) -> None:
    """ValueError for a reduction that there is not."""
    if channels not in REDUCTIONS:
        raise ValueError(f"no reduction channels={channels!r}; there are: {', '.join(REDUCTIONS)}")


def reduced(attributions, channels: str):
    """attributions (N,...,C) -> maps (N,...): their sum, the maximum of their absolute values, or all of them."""
    check_channels(channels)
    if channels == "keep" or len(attributions.shape) == 2:  # a table has no channels
        return attributions if channels != "max" else ops.abs(attributions)
    return ops.sum(attributions, axis=-1) if channels == "sum" else ops.max(ops.abs(attributions), axis=-1)


def space(features) -> tuple[int, ...]:
    """The axes of space of features (N, ..., C)."""
    return tuple(range(1, len(features.shape) - 1))
