"""Baselines: inputs without information, which replace hidden pixels and where paths start."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel, outputs_only
from keras_actmaps.core.types import Array

Baseline = Literal["zero", "mean", "blur", "pad", "mask"] | float | np.ndarray
Baselines = dict[str, Baseline]  # by the name of the input, for a model with several inputs
Fill = Annotated[Baseline, "replacement of hidden pixels: zero, the mean color, a blur, a number or an image"]
PathStart = Annotated[Baseline | Baselines, "start of the path: zero, mean, blur, a number or an image"]
TOKEN_BASELINES = ("pad", "mask")
BLUR = 0.1  # standard deviation of the blur, as a share of each side


def gain_over(setting: str) -> Callable[..., Array]:
    """`Method.total` for maps that sum to the score minus that of the baseline in the setting of this name."""

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


def validate_baseline(traced: TracedModel, inputs: Array, *, baseline: Any, **_: Any) -> None:
    """`Method.validate` of methods that integrate along a path: ValueError for a baseline that does not fit."""
    baseline_for(inputs[:1], baseline)


def baseline_for(inputs: Array, baseline: Any = "zero") -> Array:
    """The baselines of inputs, each computed from its own input only.

    Parameters
    ----------
    inputs : array of shape (N, ..., C)
    baseline : {"zero", "mean", "blur"}, float or array
        "mean" is the mean of each channel of the input; "blur" is a Gaussian blur with a standard deviation of a tenth
        of each side; an array broadcasts to one input.

    Returns
    -------
    array of shape (N, ..., C)

    Raises
    ------
    ValueError
        For an array that does not fit, for a blur of tabular inputs, and for a dict where the model has one input.
    """
    if callable(baseline):  # of several inputs, from `packed_baseline`
        return baseline(inputs)
    if isinstance(baseline, Mapping):
        raise ValueError(f"a baseline per input ({', '.join(baseline)}) does not fit a model with a single input")
    if isinstance(baseline, str) and baseline in TOKEN_BASELINES:
        raise ValueError(f"baseline {baseline!r} is for inputs of token ids; use 'zero', 'mean', a number or an array")
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
    positions = np.arange(side, dtype="float32")
    weights = np.exp(-0.5 * ((positions[:, None] - positions) / (BLUR * side)) ** 2)
    return weights / weights.sum(axis=0)
