"""Noise around an image: what SmoothGrad, SquareGrad and VarGrad average over."""

from collections.abc import Iterator

import numpy as np

from keras_actmaps import engine, methods
from keras_actmaps.methods.kinds import (
    accumulate,
    check_channels,
    check_count,
    check_seed,
    reduced,
    sampled,
    settings_of,
)


def check(probe, images, *, of, samples, noise, seed, channels):
    """ValueError, before any work, for settings of noise that do not fit."""
    check_count("samples", samples)
    check_seed(seed)
    if not isinstance(noise, (int, float, np.number)) or not 0 <= noise < np.inf:
        raise ValueError(f"noise={noise!r} is no noise; give 0 or more, in value ranges of an image")
    inner = _method(of)
    if channels is not None:
        check_channels(channels)
        if _channels(inner) is None:
            raise ValueError(f"channels={channels!r}, but the maps of {of!r} have no channels to reduce")
    inner_check = getattr(inner, "check", None)
    if inner_check:
        inner_check(probe, images, **settings_of(inner))


def moments(probe, images, targets, of, samples: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the mean square, (N,H,W,C), of the signed attributions of images with noise.

    The noise of sample s is the same for all images but for its strength, which is `noise` times the image's own value
    range; it depends on the seed and on s only. The sums are kept in float64, where the difference of the second moment
    and the first squared is good to the last digits of float32.
    """
    mean = square = None
    for image_of, rows in _attributions(probe, images, targets, _method(of), samples, noise, seed):
        rows = rows.astype("float64")
        if mean is None:
            mean, square = np.zeros((2, len(images), *rows.shape[1:]))
        accumulate(mean, image_of, rows / samples)
        accumulate(square, image_of, rows**2 / samples)
    return mean, square


def as_maps(attributions: np.ndarray, of, channels: str | None) -> np.ndarray:
    """Attributions (N,H,W,C) -> maps, reduced as asked for or as the method `of` does it by itself."""
    channels = channels or _channels(_method(of))
    attributions = attributions.astype("float32")
    return attributions if channels is None else engine.to_numpy(reduced(attributions, channels))


def _attributions(probe, images, targets, method, samples, noise, seed) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(which image, its attributions) for every image and sample."""
    axes = tuple(range(1, images.ndim))
    strength = noise * (images.max(axis=axes, keepdims=True) - images.min(axis=axes, keepdims=True))
    keep = {} if _channels(method) is None else {"channels": "keep"}

    def noisy(which, sample):
        numbers, place = np.unique(sample, return_inverse=True)
        drawn = [np.random.default_rng([seed, n]).standard_normal(images.shape[1:], "float32") for n in numbers]
        return images[which] + strength[which] * np.stack(drawn)[place]

    everything = np.arange(len(images))
    if hasattr(method, "program"):
        for which, _, maps, _ in sampled(probe, everything, targets, samples, noisy, method.program, **keep):
            yield which, maps
        return
    for sample in range(samples):
        batch = noisy(everything, np.full(len(images), sample))
        yield everything, method(probe, batch, targets, **keep)


def _method(of):
    return methods.named(of) if isinstance(of, str) else of


def _channels(method) -> str | None:
    """How a method reduces channels by default; None where its maps have none."""
    return settings_of(method).get("channels")
