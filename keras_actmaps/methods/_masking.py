"""Scores of masked inputs, with masks made in the program (`chunk_scores`) or on the host (`masked_scores`)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import show
from keras_actmaps.core.traced_model import TracedModel, outputs_only
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._baselines import baseline_for
from keras_actmaps.methods._sampling import run_chunks, run_samples


@dataclass(frozen=True)
class Masked:
    """Variants mask * input + (1 - mask) * fill, made in the program; without a fill, mask * input.

    masks: `(inputs, rows, constants) -> (s, N or 1, *space)`, the share of each position that is kept, as for
    `run_chunks`. The first constant is the fill.
    """

    masks: Callable
    has_fill: bool

    def __call__(self, inputs: Tensor, rows: Any, constants: Any) -> Tensor:
        kept = self.masks(inputs, rows, constants[self.has_fill :])
        kept = ops.reshape(kept, (*kept.shape, *(1 for _ in range(1 + len(inputs.shape) - len(kept.shape)))))
        return kept * inputs + (1 - kept) * constants[0] if self.has_fill else kept * inputs


def chunk_scores(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    samples: int,
    rows: Callable[[Array], list],
    masks: Callable,
    constants: tuple,
    fill: Any,
    context: RunContext,
) -> Array:
    """The scores (N, samples) of masked variants of each input, whose masks the program makes of small tables.

    rows, masks, constants: as for `run_chunks` and `Masked`. fill: see `baseline_for`.
    """
    hidden = baseline_for(inputs, fill)
    perturb = Masked(masks, bool(hidden.any()))
    shared = (hidden, *constants) if perturb.has_fill else constants
    chunks = run_chunks(traced, inputs, targets, samples, rows, perturb, context, constants=shared)
    return np.concatenate([values for _, values in chunks]).T.astype("float64")


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
