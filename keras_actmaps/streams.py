"""Streams of images as batches."""

from collections.abc import Iterable, Iterator, Mapping

import keras
import numpy as np

from keras_actmaps.engine import to_numpy


def gathered(dataset: Iterable, rank: int | None, batch_size: int) -> Iterator[tuple]:
    """(images, labels or None, what follows) in batches, NumPy arrays.

    dataset: a tf.data.Dataset, a keras.utils.PyDataset, a torch DataLoader or any iterable, of images or (images,
    labels, ...), in batches or one by one. Single images, those of less than `rank` axes, are gathered to `batch_size`;
    a rank of None takes all as batches. What follows is the third of an element where that
    is a dictionary, else {}.
    """
    is_indexed = isinstance(dataset, keras.utils.PyDataset)
    waiting = []
    for element in map(dataset.__getitem__, range(len(dataset))) if is_indexed else dataset:
        images, labels, more = (
            [*element, None, None][:3] if isinstance(element, (tuple, list)) else (element, None, None)
        )
        images, labels = to_numpy(images), None if labels is None else to_numpy(labels)
        more = {name: to_numpy(value) for name, value in more.items()} if isinstance(more, Mapping) else {}
        if rank is None or images.ndim != rank - 1:
            yield images, labels, more
            continue
        waiting.append((images, labels, more))
        if len(waiting) == batch_size:
            yield _stacked(waiting)
            waiting = []
    if waiting:
        yield _stacked(waiting)


def even_size(batch_size: int, count: int) -> int:
    """The images of a batch: at most `batch_size`, and evenly shared out, so that the last needs little padding."""
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} holds no image; give 1 or more")
    return -(-count // -(-count // batch_size))


def _stacked(rows: list[tuple]) -> tuple:
    images, labels, more = zip(*rows)
    stacked = {name: np.stack([one[name] for one in more]) for name in more[0]}
    return np.stack(images), None if labels[0] is None else np.stack(labels), stacked
