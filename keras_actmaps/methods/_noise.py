"""Moments of the attributions of noisy copies, for SmoothGrad, SquareGrad and VarGrad."""

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from keras import ops

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Ge, settings_of
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._sampling import run_chunks
from keras_actmaps.methods.registry import Method, Reduction, find_method, reduce_channels, validate_method

Of = Annotated[str | Method, "the method that is averaged"]
Samples = Annotated[Count, "noisy copies of each image, with the same noise for every image"]
Noise = Annotated[float, Ge(0), "standard deviation, as a share of the image's value range; 0.1 to 0.2 in the paper"]
Channels = Annotated[Reduction | None, "how channels are reduced; None is the default of the averaged method"]


def validate_noise(traced: TracedModel, inputs: Array, *, of: Any, channels: Any, **_: Any) -> None:
    """ValueError for an averaged method that is unknown or unsuitable, or has no channels to reduce."""
    inner = find_method(of, "of")
    if channels is not None and inner.reduction is None:
        raise ValueError(f"channels={channels!r}, but the maps of {inner.name} have no channels to reduce")
    validate_method(inner, traced, inputs, _defaults(inner))


def moments(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    of: str | Method,
    samples: int,
    noise: float,
    seed: int,
) -> tuple[Array, Array]:
    """The mean and the mean square, (N, ..., C), of the signed attributions of noisy inputs.

    The noise of sample s depends on the seed and on s only. It is the same for all inputs, scaled by `noise` times the
    value range of each. Variances within a chunk are centered and sums over chunks are in float64, so that the
    variance of the whole, computed from them, is accurate in float32.
    """
    mean: Any = 0.0
    square: Any = 0.0
    for count, part, spread in _chunks(traced, inputs, targets, context, find_method(of), samples, noise, seed):
        part, spread = part.astype("float64"), spread.astype("float64")
        mean = mean + count / samples * part
        square = square + count / samples * (spread + part**2)
    return mean, square


def noise_strength(inputs: Array, noise: float) -> Array:
    """The standard deviation of the noise, (N, 1, ...): `noise` times the value range of each input."""
    axes = tuple(range(1, inputs.ndim))
    return noise * (inputs.max(axis=axes, keepdims=True) - inputs.min(axis=axes, keepdims=True))


def reduce_as(values: Array, of: str | Method, channels: Any) -> Any:
    """Values (N, ..., C) as maps, reduced by `channels` or by default as in the method `of`."""
    channels = channels or find_method(of).reduction
    values = values.astype("float32")
    return values if channels is None else reduce_channels(values, channels)


def _chunks(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    method: Method,
    samples: int,
    noise: float,
    seed: int,
) -> Iterator[tuple[int, Array, Array]]:
    """For chunks of samples their number, and the mean and the variance (N, ..., C) of their attributions."""
    strength = noise_strength(inputs, noise)
    settings = _defaults(method)

    def drawn(numbers: Array) -> list:
        generators = (np.random.default_rng([seed, number]) for number in numbers)
        return [np.stack([generator.standard_normal(inputs.shape[1:], "float32") for generator in generators])]

    if method.single_pass:
        for numbers, (mean, variance) in run_chunks(
            traced,
            inputs,
            targets,
            samples,
            drawn,
            _noisy,
            context,
            constants=(strength,),
            function=method.function,
            reduce=_moments,
            **settings,
        ):
            yield len(numbers), mean, variance
        return
    for number in range(samples):
        values = method.function(
            traced, inputs + strength * drawn(np.array([number]))[0], targets, context, **settings
        ).values
        yield 1, to_numpy(values), np.zeros(())


def _noisy(inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """x + strength * noise, for each noise (s, ...)."""
    return inputs + constants[0] * rows[0][:, None]


def _moments(values: Tensor, is_real: Tensor, inputs: Tensor, rows: Any, constants: Any) -> tuple[Tensor, Tensor]:
    """The mean and the variance of the values (s, N, ...) over the real samples."""
    weights = is_real / ops.sum(is_real)
    mean = ops.tensordot(weights, values, axes=1)
    return mean, ops.tensordot(weights, (values - mean) ** 2, axes=1)


def _defaults(method: Method) -> dict[str, Any]:
    """The default settings of a method's function, as keywords."""
    return {name: setting.default for name, setting in settings_of(method.function).items()}
