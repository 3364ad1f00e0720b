"""Gradient ascent on the input: what a class, a channel or a neuron wants to see."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.cache import as_traced
from keras_actmaps.features.parametrization import paint, roughness, unpainted, viewed
from keras_actmaps.features.settings import AscentSettings, ascent_settings
from keras_actmaps.features.units import CLASS, Units, activations, find_units
from keras_actmaps.methods.registry import check_count, check_seed

MEAN, SQUARE = 0.9, 0.999  # how much Adam keeps of its averages in a step
STRETCH = 32  # steps between two reports


@dataclass(frozen=True, eq=False)
class Stage:
    """Where the ascent is after some steps: images (K,H,W,C) and their scores (K,), without any regularisation."""

    step: int
    images: np.ndarray
    scores: np.ndarray


def ascent(model, targets, layer=None, steps: int = 256, seed: int = 0, start=None, **settings) -> np.ndarray:
    """The images (K,H,W,C) that K targets score highest (Erhan et al. 2009; Simonyan et al. 2014, section 2).

    x = argmax Y(view(x)) - l2 |x - middle|^2 - variation TV(x), by Adam, over the values that `canvas.paint` makes
    into x. The gradient of Y is divided by its root mean square, so that the scale of Y makes no difference.

    model: a Keras model or a Probe. targets: with no layer, a class, classes or "all", and Y is a logit; with a layer,
    a channel, channels or "all", and Y is the mean of the channel over space; or tuples (y, x, channel), and Y is the
    activation of that neuron. start: one image, or K of them, to begin with; otherwise it is noise. settings: see
    `AscentSettings`. The same seed gives the same images, and an image does not depend on the other targets.

    Raises ValueError, before any work, for targets, layers and settings that there are not.
    Cost: `steps` forward and backward passes of K images.
    """
    *_, last = stages(model, targets, layer, steps, seed, start, **settings)
    return last.images


def stages(
    model, targets, layer=None, steps: int = 256, seed: int = 0, start=None, every: int = STRETCH, **settings
) -> Iterator[Stage]:
    """`ascent` as it goes: a Stage after every so many steps and at the end."""
    climb = ascent_settings(settings)
    for name, value in (("steps", steps), ("every", every)):
        check_count(name, value)
    check_seed(seed)
    probe = as_traced(model, layer, images=start)
    base = _base(probe, start, climb)
    units = find_units(probe, targets, layer is not None, base[:1])
    if len(base) not in (1, len(units.places)):
        raise ValueError(f"{len(base)} images to start from do not fit {len(units.places)} targets; give 1 or as many")
    return _stages(probe, units, np.repeat(base, len(units.places) // len(base), axis=0), start is None, steps, seed,
                   every, climb)  # fmt: skip


def _stages(probe, units: Units, base, is_noise: bool, steps: int, seed: int, every: int, climb: AscentSettings):
    random = np.random.default_rng(seed)
    count, height, width, channels = base.shape
    noise = random.normal(0, climb.noise if is_noise else 0, (1, channels, height, width)).astype("float32")
    values = np.repeat(noise, count, axis=0)
    state = values, np.zeros_like(values), np.zeros_like(values)
    views = np.pad(_views(random, steps, max(height, width), climb), ((0, -steps % every), (0, 0)))
    program = probe.program((_climb, units.kind, climb), lambda *given: _climb(probe, units.kind, climb, *given))
    for first in range(0, steps, every):
        real = min(every, steps - first)
        *state, images, scores = program(base, units.places, views[first : first + every],
                                         np.int32(first), np.int32(real), *state)  # fmt: skip
        probe.report(count * real, count * steps)
        yield Stage(first + real, _as_given(probe, backend.to_numpy(images)), backend.to_numpy(scores))


def _climb(probe, kind: str, climb: AscentSettings, base, places, views, first, steps, *state):
    """The values (K,C,H,W) and Adam's two averages of gradients after `steps` more steps; the images; their scores."""

    def score(images):
        return ops.take_along_axis(activations(probe, images, kind), places[:, None], axis=1)[:, 0]

    def goal(images):
        found = activations(probe, images, kind)
        asked = ops.take_along_axis(found, places[:, None], axis=1)[:, 0]
        if kind != CLASS:
            return asked
        return asked + climb.certainty * (asked - ops.logsumexp(found, axis=1))

    def step(number, values, mean, square):
        (images,), back = backend.vjp(lambda values: [paint(values, base, climb.bounds, climb.parametrisation)],
                                          [values])  # fmt: skip
        *view, rate = ops.unstack(views[number])
        (gradient,), _ = backend.gradients(lambda images: (goal(viewed(images, *view)), None), [images])
        (gradient,) = back([_regularised(gradient, images, climb)])
        mean = MEAN * mean + (1 - MEAN) * gradient
        square = SQUARE * square + (1 - SQUARE) * gradient**2
        turn = ops.cast(first + number + 1, "float32")
        ahead = mean / (1 - MEAN**turn) / (ops.sqrt(square / (1 - SQUARE**turn)) + 1e-8)
        return values + rate * ahead, mean, square

    state = ops.fori_loop(0, steps, lambda number, state: step(number, *state), tuple(state))
    images = paint(state[0], base, climb.bounds, climb.parametrisation)
    return *state, images, score(images)


def _regularised(gradient, images, climb: AscentSettings):
    """The gradient of the score at the images, with that of what is to be small taken off."""
    power = ops.mean(gradient**2, axis=(1, 2, 3), keepdims=True)
    gradient = gradient / ops.sqrt(ops.maximum(power, 1e-30))
    low, high = climb.bounds
    if climb.l2:
        gradient = gradient - 2 * climb.l2 * (images - (low + high) / 2) / (high - low)
    if climb.variation:
        gradient = gradient - climb.variation * roughness(images / (high - low))
    return gradient


def _views(random, steps: int, side: int, climb: AscentSettings) -> np.ndarray:
    """What is drawn for each step: (steps, 5), turn in radians, zoom, shift down and right in pixels, Adam's rate."""
    turn = np.radians(random.uniform(-climb.turn, climb.turn, steps))
    zoom = np.exp(random.uniform(-1, 1, steps) * np.log1p(climb.zoom))
    shift = np.rint(random.uniform(-1, 1, (steps, 2)) * climb.jitter * side)
    rate = climb.rate * (1 + np.cos(np.pi * np.arange(steps) / steps)) / 2
    return np.column_stack([turn, zoom, shift, rate]).astype("float32")


def _base(probe, start, climb: AscentSettings) -> np.ndarray:
    """The base of the paintings (1,H,W,C) or (K,H,W,C): the middle of the bounds, or the images to start from."""
    if start is None:
        shape = probe.input_shape[1:]
        if None in shape:
            raise ValueError(f"{probe.name!r} takes images {shape}, of any size; give one to start from")
        images = np.full((1, *shape), np.mean(climb.bounds) if climb.ground is None else climb.ground, "float32")
    else:
        images = probe.validate_inputs(start)
    if images.ndim != 4:
        raise ValueError(f"ascent paints images (H,W,C), and {probe.name!r} takes {probe.input_shape[1:]}")
    low, high = climb.bounds
    if images.min() < low or images.max() > high:
        raise ValueError(f"the image to start from has values {images.min():g} to {images.max():g}, outside bounds="
                         f"{climb.bounds}")  # fmt: skip
    return unpainted(images, climb.bounds)


def _as_given(probe, images: np.ndarray) -> np.ndarray:
    """Images in the layout of the model's own inputs."""
    return np.moveaxis(images, -1, 1) if probe.is_channels_first else images
