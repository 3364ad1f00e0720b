"""Metrics of maps that are read from files in batches, such as `kam.Maps`, and never held in memory as a whole."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_actmaps.core import stored
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.stored import StoredExplanations, has_map
from keras_actmaps.core.types import Array

PER_IMAGE = ("explanation", "other", "images", "masks", "boxes", "targets")  # arguments with a row for each image


def by_chunk(
    metric: Callable[..., Array],
    arguments: Mapping[str, Any],
    update: Callable[..., Array] | None,
    compute: Callable[..., Array] | None,
) -> Array:
    """The values (N, ...) of a metric, NaN for images that could not be explained.

    Parameters
    ----------
    metric : callable
    arguments : mapping
        By name; those of PER_IMAGE have a row for each image, or are StoredExplanations.
    update, compute : callable or None
        As in `Metric`, for values that depend on all images.

    Raises
    ------
    ValueError
        As the metric does, and for arguments of other lengths.
    """
    lengths = {name: len(value) for name, value in arguments.items() if _has_rows(name, value)}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{' and '.join(f'{name} of {count} images' for name, count in lengths.items())} do not fit")
    count = next(iter(lengths.values()))
    found: list[Array] = []
    places: list[Array] = []
    for start in range(0, count, stored.CHUNK):
        rows = np.arange(start, min(count, start + stored.CHUNK))
        part = {name: _rows(value, rows) if name in lengths else value for name, value in arguments.items()}
        good = np.all([has_map(value) for value in part.values() if isinstance(value, Explanation)], axis=0)
        if not good.all():
            kept = np.flatnonzero(good)
            part = {name: _rows(value, kept) if name in lengths else value for name, value in part.items()}
        if good.any():
            found.append((update or metric)(**part))
            places.append(rows[good])
    if not found:
        return np.full(count, np.nan)
    values = np.concatenate(found)
    if compute is not None:
        values = compute(values, **{name: value for name, value in arguments.items() if name not in lengths})
    whole = np.full((count, *values.shape[1:]), np.nan)
    whole[np.concatenate(places)] = values
    return whole


def _has_rows(name: str, value: Any) -> bool:
    """Whether an argument has a row for each image."""
    if name == "targets" and (value is None or callable(value)):
        return False
    return name in PER_IMAGE and (name != "targets" or np.ndim(value) > 0)


def _rows(value: Any, rows: Array) -> Any:
    """Some rows of an argument; of an array, one after the other of the file if it is a memory map."""
    if isinstance(value, Explanation):
        return value[rows]
    if isinstance(value, StoredExplanations):
        return value.explanation(rows)
    if isinstance(value, (list, tuple)):
        return [value[row] for row in rows]
    return value[rows]
