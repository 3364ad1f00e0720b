"""Forward or backward passes on many perturbed copies of the inputs, batch by batch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.batching import padded_batches
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array


def run_samples(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    samples: int,
    perturb: Callable[[Array, Array], Array],
    function: Callable,
    context: RunContext,
    **settings: Any,
) -> Iterator[tuple[Array, Array, Array, Array]]:
    """Run a function on `samples` variants of each input, with at most `context.batch_size` of them in memory.

    Parameters
    ----------
    perturb : callable
        `(input index (M,), sample index (M,)) -> inputs (M, ...)`.
    function : callable
        As for `TracedModel.run`; `settings` are its settings.

    Yields
    ------
    tuple of array
        (input index, sample index, values, scores), each of M rows, in the order of the samples.
    """
    which = np.tile(np.arange(len(inputs)), samples)
    sample = np.repeat(np.arange(samples), len(inputs))
    size = min(context.batch_size, context.padded_size * samples)
    for (input_index, sample_index), real in padded_batches([which, sample], size):
        batch = perturb(input_index, sample_index).astype("float32", copy=False)
        batch_targets = targets if callable(targets) else targets[input_index]
        values, _, scores = traced.run(function, batch, batch_targets, context=context, **settings)
        context.count_passes(real - len(batch))
        yield input_index[:real], sample_index[:real], to_numpy(values)[:real], to_numpy(scores)[:real]
        context.report(real, len(which))


def accumulate(total: Array, input_index: Array, rows: Array) -> None:
    """Add each row to the total (N, ...) of the input with its index (M,)."""
    share = np.arange(len(total))[:, None] == input_index
    total += np.tensordot(share.astype(total.dtype), rows, axes=1)
