"""Labels of data sets as class numbers."""

from typing import Any

import numpy as np

from keras_actmaps.core.types import Array


def is_one_hot(array: Array, classes: int | None) -> bool:
    """Whether these are one-hot rows (N, classes)."""
    return _are_marks(array, classes) and bool((array.sum(axis=1) == 1).all())


def are_several_labels(array: Array, classes: int | None) -> bool:
    """Whether these are rows (N, classes) of 0 and 1, not all with a single 1: no list of class numbers repeats one."""
    return classes != 1 and _are_marks(array, classes) and not is_one_hot(array, classes)


def _are_marks(array: Array, classes: int | None) -> bool:
    is_wide = array.ndim == 2 and array.shape[1] == classes and len(array) > 0
    return is_wide and array.dtype.kind in "iufb" and bool(np.isin(array, (0, 1)).all())


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
