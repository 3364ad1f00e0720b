"""Activation maximization: images that maximize a class, a channel or a neuron, by gradient ascent on the input."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_actmaps import backend
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.run_context import ignore
from keras_actmaps.core.settings import Count, Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.features.ascent_steps import advance
from keras_actmaps.features.objectives import Objectives, find_objectives
from keras_actmaps.features.parametrization import encode
from keras_actmaps.features.settings import AscentSettings, Report, Steps, make_ascent_settings, validate_arguments

STEPS_PER_STATE = 32


@dataclass(frozen=True, eq=False)
class AscentState:
    """Images (K, H, W, C) after a number of steps, and their scores (K,), untransformed and without regularization."""

    step: int
    images: Array
    scores: Array


def ascent(
    model: Any,
    targets: Any,
    layer: Any = None,
    steps: int = 256,
    seed: int = 0,
    start: Any = None,
    *,
    report: Report | None = None,
    **settings: Any,
) -> Array:
    """Images that maximize the scores of targets (Erhan et al. 2009; Simonyan et al. 2014, section 2).

    x = argmax Y(t(x)) - l2 |x - middle|^2 - variation TV(x), by Adam on the parameters of x (see `decode` in
    `features.parametrization`), with random transformations t. The gradient of Y is divided by its root mean square,
    so that the result does not depend on the scale of Y.

    Parameters
    ----------
    model : keras.Model, torch.nn.Module or Probe
    targets : int, sequence of int, tuple, sequence of tuples or "all"
        Without a layer, classes, and Y is a logit. With a layer, channels, and Y is the mean of a channel over space;
        or tuples (y, x, channel), and Y is the activation of that neuron.
    layer : str, int or None
        As for `Probe`.
    steps : int
        Steps of gradient ascent.
    seed : int
        The same seed gives the same images.
    start : array of shape (1, H, W, C) or (K, H, W, C), optional
        Initial images; without them, noise.
    report : callable, optional
        `report(done, total)` is called with the number of image updates.
    **settings
        Fields of `features.settings.AscentSettings`: bounds, ground, noise, parametrisation, rate, certainty, l2,
        variation, jitter, zoom and turn.

    Returns
    -------
    array of shape (K, H, W, C)
        float32, within `bounds`, in the layout of the model's inputs. An image does not depend on the other targets.

    Raises
    ------
    ValueError
        Before any computation, for unknown targets, layers and settings, and for invalid values.

    Notes
    -----
    Cost: `steps` forward and backward passes of K images. The images show what raises a score most, which may differ
    from what raises it in real images.
    """
    *_, last = ascent_states(model, targets, layer, steps, seed, start, report=report, **settings)
    return last.images


def ascent_states(
    model: Any,
    targets: Any,
    layer: Any = None,
    steps: Steps = 256,
    seed: Seed = 0,
    start: Any = None,
    every: Count = STEPS_PER_STATE,
    *,
    report: Report | None = None,
    **settings: Any,
) -> Iterator[AscentState]:
    """The states of `ascent` after every `every` steps and after the last; arguments are validated immediately."""
    record = make_ascent_settings(settings)
    steps, every, seed = validate_arguments(ascent_states, steps=steps, every=every, seed=seed)
    traced = as_traced(model, layer, inputs=start)
    base = _initial_base(traced, start, record)
    objectives = find_objectives(traced, targets, layer is not None, base[:1])
    count = len(objectives.indices)
    if len(base) not in (1, count):
        raise ValueError(f"start must be 1 image or one for each of {count} targets, got {len(base)} images")
    noise = record.noise if start is None else 0.0
    base = np.repeat(base, count // len(base), axis=0)
    return _states(traced, objectives, base, noise, steps, seed, every, record, report or ignore)


def _states(
    traced: TracedModel,
    objectives: Objectives,
    base: Array,
    noise: float,
    steps: int,
    seed: int,
    every: int,
    settings: AscentSettings,
    report: Report,
) -> Iterator[AscentState]:
    """The generator behind `ascent_states`, for validated arguments."""
    random = np.random.default_rng(seed)
    count, height, width, channels = base.shape
    values = random.normal(0, noise, (1, channels, height, width)).astype("float32").repeat(count, axis=0)
    state = [values, np.zeros_like(values), np.zeros_like(values)]
    schedule = np.pad(_schedule(random, steps, max(height, width), settings), ((0, -steps % every), (0, 0)))
    level = objectives.level
    program = traced.program((advance, level, settings), lambda *tensors: advance(traced, level, settings, *tensors))
    for first in range(0, steps, every):
        real = min(every, steps - first)
        part = schedule[first : first + every]
        *state, images, scores = program(base, objectives.indices, part, np.int32(first), np.int32(real), *state)
        report(count * real, count * steps)
        yield AscentState(first + real, _in_model_layout(traced, backend.to_numpy(images)), backend.to_numpy(scores))


def _schedule(random: np.random.Generator, steps: int, side: int, settings: AscentSettings) -> Array:
    """For each step (steps, 5): angle in radians, zoom, shift down and right in pixels, and Adam's step size."""
    angle = np.radians(random.uniform(-settings.turn, settings.turn, steps))
    zoom = np.exp(random.uniform(-1, 1, steps) * np.log1p(settings.zoom))
    shift = np.rint(random.uniform(-1, 1, (steps, 2)) * settings.jitter * side)
    rate = settings.rate * (1 + np.cos(np.pi * np.arange(steps) / steps)) / 2
    return np.column_stack([angle, zoom, shift, rate]).astype("float32")


def _initial_base(traced: TracedModel, start: Any, settings: AscentSettings) -> Array:
    """Logits (1, H, W, C) or (K, H, W, C) of the initial images, by default of a constant image."""
    if start is None:
        shape = tuple(side for side in traced.input_shape[1:] if side is not None)
        if len(shape) < len(traced.input_shape) - 1:
            sizes = traced.input_shape[1:]
            raise ValueError(f"{traced.name!r} takes inputs of any size, {sizes}; pass an image as start")
        ground = np.mean(settings.bounds) if settings.ground is None else settings.ground
        images = np.full((1, *shape), ground, "float32")
    else:
        images = traced.validate_inputs(start)
    if images.ndim != 4:
        raise ValueError(
            f"ascent needs a model of images (H, W, C), and {traced.name!r} takes {traced.input_shape[1:]}"
        )
    low, high = settings.bounds
    if images.min() < low or images.max() > high:
        raise ValueError(
            f"start must be within bounds={settings.bounds}, got values from {images.min():g} to {images.max():g}"
        )
    return encode(images, settings.bounds)


def _in_model_layout(traced: TracedModel, images: Array) -> Array:
    """Images in the layout of the model's own inputs."""
    return np.moveaxis(images, -1, 1) if traced.is_channels_first else images
