"""Labels of data sets as class numbers."""

from typing import Any

import numpy as np

from keras_actmaps.core.types import Array


def is_one_hot(array: Array, classes: int | None) -> bool:
    """Whether these are one-hot rows (N, classes)."""
    if array.ndim != 2 or array.shape[1] != classes or array.dtype.kind not in "iufb" or not len(array):
        return False
    return bool(np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all())


def class_numbers(labels: Any) -> Array | None:
    """Labels (N,), (N, 1), one-hot (N, classes) or smoothed one-hot as int64 (N,); None for what are not classes.

    Rows of several labels at once, regression tables and masks are not classes.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] > 1:
        return labels.argmax(axis=1) if _are_shares(labels) else None
    if labels.ndim not in (1, 2) or labels.dtype.kind not in "iufb":
        return None
    labels = labels.reshape(len(labels))
    return labels.astype("int64") if np.isfinite(labels).all() and (labels == labels.astype("int64")).all() else None


def _are_shares(rows: Array) -> bool:
    """Whether all rows are non-negative, sum to 1 and name one class: more than half belongs to it."""
    if rows.dtype.kind not in "iufb":
        return False
    rows = rows.astype("float64")
    return bool((rows >= 0).all() and np.allclose(rows.sum(axis=1), 1, atol=1e-3) and (rows.max(axis=1) > 0.5).all())
