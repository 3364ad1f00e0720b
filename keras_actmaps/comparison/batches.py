"""The images of a comparison as batches, with labels and truth, and the targets of each batch."""

from collections.abc import Callable, Iterator, Mapping
from operator import length_hint
from typing import Any

import keras
import numpy as np

from keras_actmaps import backend
from keras_actmaps.core.batching import even_batch_size, iterate_batches
from keras_actmaps.core.types import Array
from keras_actmaps.methods.explain import select_targets

Batch = tuple[Any, Any, Mapping[str, Any]]  # images, labels or None, {"masks": ..., "boxes": ...}


def array_batches(
    images: Any, masks: Any, boxes: Any, targets: Any, batch_size: int
) -> tuple[Iterator[Batch], int, Callable[[Any], Any]]:
    """The batches of an array (or a list or dict of several inputs), their number, and targets of a batch from labels.

    Raises ValueError if masks, boxes or targets do not fit the images.
    """
    count = len(keras.tree.flatten(images)[0])
    truth = {name: part for name, part in (("masks", masks), ("boxes", boxes)) if part is not None}
    labels = None if is_shared(targets) else as_array(targets)
    for name, part in {"targets": labels, **truth}.items():
        if part is not None and len(part) != count:
            raise ValueError(f"{name} of {len(part)} images do not fit {count} images")
    size = even_batch_size(batch_size, count) if count else 1

    def slices() -> Iterator[Batch]:
        for start in range(0, count, size):
            rows = slice(start, start + size)
            own_labels = None if labels is None else labels[rows]
            batch = keras.tree.map_structure(lambda array, rows=rows: array[rows], images)
            yield batch, own_labels, {name: part[rows] for name, part in truth.items()}

    return slices(), -(-count // size), target_selector(targets if labels is None else "labels")


def stream_batches(
    images: Any, masks: Any, boxes: Any, targets: Any, batch_size: int, rank: int | None
) -> tuple[Iterator[Batch], int, Callable[[Any], Any]]:
    """The same for a stream; the number is 0 if it is unknown.

    Raises ValueError for masks, boxes and targets that are not in the stream.
    """
    if masks is not None or boxes is not None:
        raise ValueError('a stream contains its own masks and boxes: (images, labels, {"masks": ..., "boxes": ...})')
    if not is_shared(targets):
        raise ValueError("targets of a stream must be None, a class, a function of the outputs or 'labels'")
    if not hasattr(images, "__iter__") and not hasattr(images, "__getitem__"):
        raise ValueError(f"images must be an array or an iterable of batches, got {type(images).__name__}")
    return iterate_batches(images, rank, batch_size), length_hint(images), target_selector(targets)


def target_selector(targets: Any) -> Callable[[Any], Any]:
    """A function from the labels of a batch to its targets; ValueError for several targets per image."""

    def select(labels: Array | None) -> Any:
        selected = select_targets(targets, labels)
        if isinstance(selected, str) or not (is_shared(selected) or as_array(selected).ndim == 1):
            raise ValueError("methods are compared on one target per image: a class, (N,) classes or a function")
        return selected

    return select


def is_shared(targets: Any) -> bool:
    """Whether targets are the same for all images, or a name such as "labels"."""
    return targets is None or callable(targets) or isinstance(targets, str) or as_array(targets).ndim == 0


def as_array(targets: Any) -> Array:
    """Targets as an array; ValueError if they are ragged."""
    try:
        return np.asarray(backend.to_numpy(targets))
    except (TypeError, ValueError):
        raise ValueError("targets must be a class, (N,) classes or a function of the outputs") from None
