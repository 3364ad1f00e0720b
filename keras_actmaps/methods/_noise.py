"""Moments of the attributions of noisy copies, for SmoothGrad, SquareGrad and VarGrad."""

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Ge, settings_of
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods._sampling import accumulate, run_samples
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
    value range of each. Sums are in float64, so that a variance computed from them is accurate in float32.
    """
    mean = square = np.zeros(())
    for number, (which, rows) in enumerate(
        _attributions(traced, inputs, targets, context, find_method(of), samples, noise, seed)
    ):
        rows = rows.astype("float64")
        if not number:
            mean, square = np.zeros((2, len(inputs), *rows.shape[1:]))
        accumulate(mean, which, rows / samples)
        accumulate(square, which, rows**2 / samples)
    return mean, square


def reduce_as(values: Array, of: str | Method, channels: Any) -> Any:
    """Values (N, ..., C) as maps, reduced by `channels` or by default as in the method `of`."""
    channels = channels or find_method(of).reduction
    values = values.astype("float32")
    return values if channels is None else reduce_channels(values, channels)


def _attributions(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    method: Method,
    samples: int,
    noise: float,
    seed: int,
) -> Iterator[tuple[Array, Array]]:
    """Pairs (input index (M,), attributions (M, ...)) that cover every input and sample."""
    axes = tuple(range(1, inputs.ndim))
    strength = noise * (inputs.max(axis=axes, keepdims=True) - inputs.min(axis=axes, keepdims=True))

    def noisy(which: Array, sample: Array) -> Array:
        numbers, index = np.unique(sample, return_inverse=True)
        drawn = [np.random.default_rng([seed, n]).standard_normal(inputs.shape[1:], "float32") for n in numbers]
        return inputs[which] + strength[which] * np.stack(drawn)[index]

    settings = _defaults(method)
    if method.single_pass:
        for which, _, values, _ in run_samples(
            traced, inputs, targets, samples, noisy, method.function, context, **settings
        ):
            yield which, values
        return
    all_inputs = np.arange(len(inputs))
    for sample in range(samples):
        batch = noisy(all_inputs, np.full(len(inputs), sample))
        yield all_inputs, to_numpy(method.function(traced, batch, targets, context, **settings).values)


def _defaults(method: Method) -> dict[str, Any]:
    """The default settings of a method's function, as keywords."""
    return {name: setting.default for name, setting in settings_of(method.function).items()}
