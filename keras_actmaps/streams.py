"""Streams of images as batches."""

from collections.abc import Iterable, Iterator

import keras
import numpy as np

from keras_actmaps.engine import to_numpy


def gathered(dataset: Iterable, rank: int | None, batch_size: int) -> Iterator[tuple]:
    """(images, labels or None) in batches, NumPy arrays.

    dataset: a tf.data.Dataset, a keras.utils.PyDataset, a torch DataLoader or any iterable, of images or (images,
    labels, ...), in batches or one by one. Single images, those of less than `rank` axes, are gathered to `batch_size`;
    a rank of None takes all as batches.
    """
    is_indexed = isinstance(dataset, keras.utils.PyDataset)
    waiting = []
    for element in map(dataset.__getitem__, range(len(dataset))) if is_indexed else dataset:
        images, labels = (element[0], element[1]) if isinstance(element, (tuple, list)) else (element, None)
        images = to_numpy(images)
        labels = None if labels is None else to_numpy(labels)
        if rank is None or images.ndim != rank - 1:
            yield images, labels
            continue
        waiting.append((images, labels))
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


def _stacked(pairs):
    images, labels = zip(*pairs)
    return np.stack(images), None if labels[0] is None else np.stack(labels)
