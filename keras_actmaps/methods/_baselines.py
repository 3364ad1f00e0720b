"""Baselines: inputs without information, which replace what is hidden and from which paths begin."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel, outputs_only
from keras_actmaps.core.types import Array

Baseline = Literal["zero", "mean", "blur"] | float | np.ndarray
Fill = Annotated[Baseline, "what hides a part: zero, the mean color, a blur, a number or an image"]
BLUR = 0.1  # standard deviation of the blur, in sides of the image


def gain_over(setting: str) -> Callable[..., Array]:
    """The total of methods whose maps sum to the score minus that of the baseline in a setting."""

    def total(
        traced: TracedModel,
        inputs: Array,
        targets: Any,
        scores: Array,
        settings: Mapping[str, Any],
        context: RunContext,
    ) -> Array:
        start = np.ascontiguousarray(baseline_for(inputs, settings[setting]))
        return scores - to_numpy(traced.run(outputs_only, start, targets, context=context)[2])

    return total


def baseline_for(inputs: Array, baseline: Any = "zero") -> Array:
    """The baselines of inputs (N, ..., C), in their shape; each depends on its own input only.

    Parameters
    ----------
    baseline : {"zero", "mean", "blur"}, float or array
        "mean" is each channel's mean over the input; "blur" blurs by a Gaussian a tenth of each side wide; an array is
        one such input or broadcasts to one.

    Raises
    ------
    ValueError
        For an array that does not fit, and for a blur of a table.
    """
    if isinstance(baseline, str):
        return np.zeros_like(inputs) if baseline == "zero" else (_mean if baseline == "mean" else _blur)(inputs)
    try:
        array = np.broadcast_to(np.asarray(baseline, "float32"), inputs.shape[1:])
    except ValueError:
        raise ValueError(
            f"a baseline of shape {np.shape(baseline)} does not fit inputs of shape {inputs.shape[1:]}"
        ) from None
    return np.broadcast_to(array, inputs.shape)


def _mean(inputs: Array) -> Array:
    axes = tuple(range(1, max(inputs.ndim - 1, 2)))
    return np.broadcast_to(inputs.mean(axis=axes, keepdims=True), inputs.shape)


def _blur(inputs: Array) -> Array:
    if inputs.ndim == 2:
        raise ValueError("the features of a table have no neighbors to blur; use 'zero', 'mean', a number or an array")
    for axis in range(1, inputs.ndim - 1):
        inputs = np.moveaxis(np.moveaxis(inputs, axis, -1) @ _gaussian(inputs.shape[axis]), -1, axis)
    return inputs


def _gaussian(side: int) -> Array:
    """The matrix (side, side) that blurs a row; at the borders the weights still sum to 1."""
    places = np.arange(side, dtype="float32")
    weights = np.exp(-0.5 * ((places[:, None] - places) / (BLUR * side)) ** 2)
    return weights / weights.sum(axis=0)
