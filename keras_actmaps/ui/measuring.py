"""Metrics of the maps that the page shows, for one image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.metrics import METRICS, deletion_curve, insertion_curve, spearman

STEPS = 28  # of the curves
DEFAULT = ("deletion", "insertion", "sparseness", "entropy")


@dataclass(frozen=True, eq=False)
class Measured:
    """The metrics and curves of one map.

    Attributes
    ----------
    values : dict
        A number, or the reason why there is none, for each metric.
    deletion, insertion : array of shape (STEPS + 1,)
        The probability as the most important pixels are hidden, or shown; empty for inputs without a curve.
    """

    values: dict[str, float | str]
    deletion: Array
    insertion: Array


def choices() -> list[str]:
    """The metrics that need no ground truth."""
    return [name for name, metric in METRICS.items() if metric.requires <= {"model"}]


def measure(
    model: Any, inputs: Array, explanation: Explanation, target: Any, names: list[str], report: Callable[..., None]
) -> Measured:
    """The metrics of a map; one that does not fit is left out with its reason."""
    values: dict[str, float | str] = {}
    extra = {"targets": target} if callable(target) else {}
    for name in names:
        metric = METRICS[name]
        try:
            if "model" in metric.requires:
                found = metric.function(model, inputs, explanation, **extra)
            else:
                found = metric.function(explanation)
            values[name] = float(np.ravel(found)[0])
        except (ValueError, TypeError) as error:
            values[name] = str(error)
        report(1, len(names) + 2)
    curves = []
    for curve in (deletion_curve, insertion_curve):
        curves.append(_curve(curve, model, inputs, explanation, extra))
        report(1, len(names) + 2)
    return Measured(values, *curves)


def _curve(curve: Callable[..., Array], model: Any, inputs: Array, e: Explanation, extra: dict[str, Any]) -> Array:
    try:
        return np.asarray(curve(model, inputs, e, steps=STEPS, **extra))[0]
    except (ValueError, TypeError):
        return np.empty(0)


def agreement(explanations: list[Explanation]) -> Array:
    """Spearman's rank correlation (M, M) of maps of the same shape."""
    found = np.eye(len(explanations))
    for row, one in enumerate(explanations):
        for column, other in enumerate(explanations[:row]):
            found[row, column] = found[column, row] = float(spearman(one, other)[0])
    return found
