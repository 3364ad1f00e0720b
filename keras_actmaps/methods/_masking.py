"""Scores of masked inputs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import show
from keras_actmaps.core.traced_model import TracedModel, outputs_only
from keras_actmaps.core.types import Array
from keras_actmaps.methods._baselines import baseline_for
from keras_actmaps.methods._sampling import run_samples


def masked_scores(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    samples: int,
    masks: Callable[[Array, Array], Array],
    fill: Any,
    context: RunContext,
    function: Callable = outputs_only,
    **settings: Any,
) -> Array:
    """The scores (N, samples) of `samples` variants of each input: mask * input + (1 - mask) * fill.

    Parameters
    ----------
    samples : int
        Masks per input.
    masks : callable
        `(input index (M,), sample index (M,)) -> (M, H, W)`: the share of each position that is kept, the
        same for all channels.
    fill
        See `baseline_for`.
    function : callable
        Returns the scores as its values, as for `TracedModel.run`; `settings` are its settings.
    """
    hidden = baseline_for(inputs, fill)
    scores = np.empty((len(inputs), samples))

    def perturb(which: Array, sample: Array) -> Array:
        kept = masks(which, sample).astype("float32", copy=False)
        kept = kept.reshape(*kept.shape, *(1,) * (inputs.ndim - kept.ndim))
        return kept * inputs[which] + (1 - kept) * hidden[which]

    for which, sample, values, _ in run_samples(
        traced, inputs, targets, samples, perturb, function, context, **settings
    ):
        scores[which, sample] = values
    return scores


def per_axis(name: str, value: Any, space: tuple[int, ...]) -> tuple[int, ...]:
    """A setting, one integer or one per spatial axis, as one per axis; ValueError for any other number of them."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * len(space)
    if len(values) != len(space):
        raise ValueError(f"{name}={show(value)} does not fit maps of shape {space}; pass one integer, or one per axis")
    return tuple(map(int, values))
