"""Forward or backward passes on many perturbed copies of the inputs, in chunks.

The compiled program makes them from small tables (`run_chunks`), or the host from masks of any origin (`run_samples`).
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from keras import ops, tree

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.attribution import Attribution, rows_of, tiled
from keras_actmaps.core.batching import padded_batches
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel, outputs_only
from keras_actmaps.core.types import Array, Tensor

WASTE = 16  # at most one of so many samples may be padding, if a smaller chunk avoids it


def run_chunks(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    samples: int,
    rows: Callable[[Array], list],
    perturb: Callable,
    context: RunContext,
    *,
    constants: tuple = (),
    function: Callable = outputs_only,
    reduce: Callable | None = None,
    size: int | None = None,
    **settings: Any,
) -> Iterator[tuple[Array, Any]]:
    """Run a function on `samples` variants of each input, which the compiled program makes from small tables.

    A call of the program takes a chunk of samples of all inputs, at most `context.batch_size` variants.

    Parameters
    ----------
    inputs : array (N, ...)
        At most `context.batch_size`.
    rows : callable
        From sample numbers (s,) to the arrays (s, ...) of which `perturb` makes these samples.
    perturb : callable
        `(inputs, rows, constants) -> variants (s, N, ...)` with Keras operations, or a tuple of these and of further
        tensors (s, N, ...) that the function takes; not a closure, so that its program is compiled once.
    constants : tuple
        Arrays that all samples share; sent to the device once.
    function : callable
        As for `TracedModel.run`; `settings` are its settings.
    reduce : callable, optional
        `(values (s, N, ...), is_real (s,), inputs, rows, constants)` to what is returned of a chunk, where is_real is 0
        for samples that only fill the last chunk and are copies of the last one. By default all values.
    size : int, optional
        Samples per chunk; by default `chunk_size`.

    Yields
    ------
    tuple
        (sample numbers of a chunk, what `reduce` returns or the values (real samples, N, ...), as arrays).
    """
    count = len(inputs)
    size = size or chunk_size(samples, context.batch_size // count)
    inputs, *shared = (ops.convert_to_tensor(array) for array in (inputs, *constants))
    for first in range(0, samples, size):
        numbers = np.arange(first, first + size)
        parts, real = rows(np.minimum(numbers, samples - 1)), min(size, samples - first)
        values, _, _ = traced.run(
            _chunk,
            inputs,
            targets,
            (numbers < samples).astype("float32"),
            *parts,
            *shared,
            context=context,
            perturb=perturb,
            reduce=reduce,
            tables=len(parts),
            of=function,
            **settings,
        )
        context.count_passes(count * (real - 1))
        found = tree.map_structure(to_numpy, values)
        yield numbers[:real], found if reduce else found[:real]
        context.report(count * real, count * samples)


def chunk_size(samples: int, most: int) -> int:
    """The largest number of samples per chunk, up to `most`, that wastes few on filling the last chunk."""

    def is_frugal(size: int) -> bool:
        return -samples % size <= samples / WASTE

    return next(size for size in range(max(1, min(most, samples)), 0, -1) if is_frugal(size))


def _chunk(
    traced: TracedModel,
    inputs: Tensor,
    targets: Any,
    is_real: Tensor,
    *tensors: Tensor,
    perturb: Callable,
    reduce: Callable | None,
    tables: int,
    of: Callable,
    **settings: Any,
) -> Attribution:
    """The values of a chunk, and the outputs of the first sample of each input."""
    rows, constants = tensors[:tables], tensors[tables:]
    variants = tree.flatten(perturb(inputs, rows, constants))
    size, count, *_ = variants[0].shape
    flat, *further = (ops.reshape(part, (size * count, *part.shape[2:])) for part in variants)
    values, outputs = of(traced, flat, tiled(targets, size), *further, **settings)
    values = tree.map_structure(lambda part: ops.reshape(part, (size, count, *part.shape[1:])), values)
    if reduce is not None:
        values = reduce(values, is_real, inputs, rows, constants)
    return Attribution(values, tree.map_structure(lambda output: output[:count], outputs))


def per_sample(table: Tensor, inputs: Tensor) -> Tensor:
    """Numbers (s,) or (s, N) in a shape that broadcasts with variants (s, N, ...)."""
    return ops.reshape(table, (*table.shape, *(1 for _ in range(1 + len(inputs.shape) - len(table.shape)))))


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
        batch_targets = rows_of(targets, input_index)
        values, _, scores = traced.run(function, batch, batch_targets, context=context, **settings)
        context.count_passes(real - len(batch))
        yield input_index[:real], sample_index[:real], to_numpy(values)[:real], to_numpy(scores)[:real]
        context.report(real, len(which))


def accumulate(total: Array, input_index: Array, rows: Array) -> None:
    """Add each row to the total (N, ...) of the input with its index (M,)."""
    share = np.arange(len(total))[:, None] == input_index
    total += np.tensordot(share.astype(total.dtype), rows, axes=1)
