"""Batches: of arrays padded to one shape, and of streams."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.types import Array


def refuse_streams(inputs: Any) -> None:
    """ValueError for a dataset or another iterable of batches, which `explain` cannot hold in memory."""
    is_stream = hasattr(inputs, "__iter__") and not hasattr(inputs, "__array__")
    if isinstance(inputs, keras.utils.PyDataset) or (is_stream and not isinstance(inputs, (Mapping, Sequence))):
        raise ValueError(
            f"inputs of type {type(inputs).__name__} are a stream of batches; pass an array, or explain the stream by "
            "kam.explain_dataset"
        )


def refuse_several_shapes(inputs: Any) -> None:
    """ValueError for a list of arrays of different shapes."""
    if isinstance(inputs, (list, tuple)) or (isinstance(inputs, np.ndarray) and inputs.dtype == object and inputs.ndim):
        shapes = sorted({tuple(one.shape) for one in inputs if hasattr(one, "shape")})
        if len(shapes) > 1:
            raise ValueError(
                f"the inputs have {len(shapes)} shapes, such as {shapes[0]} and {shapes[1]}; resize them to one shape, "
                "or pass kam.explain_dataset a stream of them, which it explains by shape"
            )


def refuse_inputs_as_labels(inputs: Any, labels: Array | None, classes: int | None) -> None:
    """ValueError for labels of a classifier that have the shape of the inputs, as in a stream of lists of images."""
    if classes is None or labels is None or not hasattr(inputs, "shape") or labels.shape != inputs.shape:
        return
    if labels.ndim > 2 or (labels.ndim == 2 and labels.dtype.kind == "f" and labels.shape[1] != classes):
        raise ValueError(
            f"an element of the stream has labels of shape {labels.shape}, which is that of its inputs; elements are "
            "inputs or (inputs, labels): stack a list of inputs into one array"
        )


def padded_batches(arrays: Sequence[Any], size: int) -> Iterator[tuple[list[Array], int]]:
    """(arrays of `size` rows, number of real rows): the last batch is padded with its last row.

    All batches have one shape, so that one program is compiled.
    """
    for start in range(0, len(arrays[0]), size):
        part = [np.asarray(array[start : start + size]) for array in arrays]
        real = len(part[0])
        if real < size:
            part = [np.concatenate([array, np.repeat(array[-1:], size - real, axis=0)]) for array in part]
        yield part, real


def even_batch_size(batch_size: int, count: int) -> int:
    """The smallest batch size with as few batches as `batch_size`, which minimizes the padding of the last one."""
    return -(-count // -(-count // batch_size))


def iterate_batches(
    dataset: Any, rank: int | None, batch_size: int
) -> Iterator[tuple[Any, Array | None, dict[str, Array]]]:
    """A stream as batches (inputs, labels or None, extras) of NumPy arrays; several inputs keep their structure.

    Parameters
    ----------
    dataset : iterable
        A tf.data.Dataset, a keras.utils.PyDataset, a torch DataLoader or any iterable, of inputs or
        (inputs, labels, ...), in batches or one by one. Several inputs are a dict of arrays, or a list in a tuple.
    rank : int or None
        Number of axes of a batch, summed over several inputs; elements of one axis less each are single examples and
        are gathered into batches, each of one shape. None treats every element as a batch.
    batch_size : int
        Size of the batches that single examples are gathered into.

    Yields
    ------
    tuple
        `extras` is the third part of an element if that is a mapping, else {}.
    """
    elements = dataset
    if isinstance(dataset, keras.utils.PyDataset):
        elements = map(dataset.__getitem__, range(len(dataset)))
    pending: list[tuple] = []
    for element in elements:
        parts = [*element, None, None] if isinstance(element, (tuple, list)) else [element, None, None]
        inputs, labels = to_arrays(parts[0]), None if parts[1] is None else to_numpy(parts[1])
        extras = {key: to_numpy(value) for key, value in parts[2].items()} if isinstance(parts[2], Mapping) else {}
        arrays = keras.tree.flatten(inputs)
        if rank is None or sum(array.ndim for array in arrays) != rank - len(arrays):
            yield inputs, labels, extras
            continue
        if pending and _shapes(pending[-1][0]) != _shapes(inputs):  # a batch has examples of one shape
            yield _stack(pending)
            pending = []
        pending.append((inputs, labels, extras))
        if len(pending) == batch_size:
            yield _stack(pending)
            pending = []
    if pending:
        yield _stack(pending)


def to_arrays(inputs: Any) -> Any:
    """An array of any framework as NumPy's, and a dict, list or tuple of them likewise."""
    if isinstance(inputs, (Mapping, list, tuple)):
        return keras.tree.map_structure(to_numpy, inputs)
    return to_numpy(inputs)


def _shapes(inputs: Any) -> list[tuple[int, ...]]:
    return [array.shape for array in keras.tree.flatten(inputs)]


def _stack(rows: list[tuple]) -> tuple[Any, Array | None, dict[str, Array]]:
    """Single elements (inputs, label, extras) as one batch."""
    inputs, labels, extras = zip(*rows)
    stacked = {name: np.stack([one[name] for one in extras]) for name in extras[0]}
    batch = keras.tree.map_structure(lambda *arrays: np.stack(arrays), *inputs)
    return batch, None if labels[0] is None else np.stack(labels), stacked
