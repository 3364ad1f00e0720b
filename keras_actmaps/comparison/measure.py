"""The batches of a comparison: the maps of every method, and the states of the metrics."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from keras_actmaps.comparison.batches import Batch
from keras_actmaps.comparison.request import Labeled
from keras_actmaps.comparison.stored import StoredRequest, require_targets
from keras_actmaps.core.attribution import Target
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.progress import progress
from keras_actmaps.core.run_context import PassCounter, RunContext
from keras_actmaps.core.several_inputs import part_named
from keras_actmaps.core.stored import has_map
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods.explain_batch import explain_batch
from keras_actmaps.methods.request import MethodRequest
from keras_actmaps.metrics.selection import MetricRequest


@dataclass(frozen=True, eq=False)
class BatchResult:
    """The results of one method for one batch.

    Attributes
    ----------
    explanation : Explanation
        Of the images whose maps are kept.
    has_map : bool array of shape (N,)
        False for images that a stored run could not explain.
    states : list of array
        The state of each metric, of the images with a map.
    seconds, passes : float
        Per image; seconds are NaN if anything was compiled, and both for stored maps.
    """

    explanation: Explanation
    has_map: Array
    states: list[Array]
    seconds: float
    passes: float


@dataclass(frozen=True, eq=False)
class Plan:
    """A validated comparison: what to compute for each batch."""

    traced: TracedModel
    rows: list[Labeled[MethodRequest | StoredRequest]]
    columns: list[Labeled[MetricRequest]]
    select: Callable[[Any], Any]  # from the labels of a batch to its targets
    keep: int | None
    skip: Callable[[str, ValueError], None] | None
    context: RunContext


def require_count(rows: list[Labeled[MethodRequest | StoredRequest]], count: int) -> None:
    """ValueError for stored maps of another number of images."""
    for row in rows:
        if isinstance(row.request, StoredRequest):
            row.request.require_count(count)


def run_batches(plan: Plan, batches: Iterable[Batch], count: int) -> dict[str, list[BatchResult]]:
    """The results of each method that fits, by its label; `count` batches, or 0 if that is unknown."""
    results: dict[str, list[BatchResult]] = {row.label: [] for row in plan.rows}
    done = 0
    with progress("compare", "batch") as report:
        for images, labels, truth in batches:
            targets = plan.select(labels)
            known = targets  # what the other methods explain
            for row in sorted((row for row in plan.rows if row.label in results), key=_is_stored):
                try:
                    explanation, *cost = _timed(plan, row.request, images, targets, done)
                    if _is_stored(row):
                        require_targets(row.label, explanation, known, done)
                    elif known is None:
                        known = explanation.targets
                    results[row.label].append(_measure(plan, explanation, images, targets, truth, done, cost))
                except ValueError as error:
                    if plan.skip is None or done:
                        raise
                    plan.skip(row.label, error)
                    del results[row.label]
                report(1, count * len(plan.rows) or None)
            done += len(keras.tree.flatten(images)[0])
    require_count([row for row in plan.rows if row.label in results], done)
    for row in plan.rows:
        found = results.get(row.label, [])
        if (
            found and not _is_stored(row) and all(math.isnan(result.seconds) for result in found)
        ):  # all compiled something
            found[-1] = replace(found[-1], seconds=_timed(plan, row.request, images, targets, 0)[1])
    return results


def _is_stored(row: Labeled[MethodRequest | StoredRequest]) -> bool:
    return isinstance(row.request, StoredRequest)


def _measure(
    plan: Plan, explanation: Explanation, images: Any, targets: Any, truth: Any, first: int, cost: Sequence[float]
) -> BatchResult:
    """The states of the metrics for one method's maps of one batch; cost: seconds and passes."""
    measured = targets
    requests = [row.request for row in plan.rows if isinstance(row.request, MethodRequest)]
    if isinstance(targets, Target) and len({"gradients" in one.method.needs for one in requests}) > 1:
        measured = targets.for_perturbations()  # one score for the whole table
    good, chosen = has_map(explanation), explanation
    if not good.all():
        rows = np.flatnonzero(good)
        images, truth = keras.tree.map_structure(lambda array: array[rows], (images, dict(truth)))
        chosen = explanation[rows]
    arguments = plan.traced, images, chosen, truth, measured, plan.context.batch_size
    states = [column.request.update(*arguments) for column in plan.columns] if good.any() else []
    kept = None if plan.keep is None else max(plan.keep - first, 0)
    return BatchResult(explanation[:kept], good, states, *cost)


def _timed(
    plan: Plan, request: MethodRequest | StoredRequest, images: Any, targets: Any, first: int
) -> tuple[Explanation, float, float]:
    """The maps of one batch; per image the seconds, NaN if anything was compiled, and the passes."""
    traced, size = plan.traced, plan.context.padded_size
    if isinstance(request, StoredRequest):
        return _of_one_input(plan, request.explanation(first, images)), math.nan, math.nan
    counter, traces, started = PassCounter(), traced.traces, time.perf_counter()
    inputs = traced.validate_inputs(images)
    request.validate(traced, inputs)
    context = replace(plan.context, count_passes=counter.add)
    explanation = _of_one_input(plan, explain_batch(traced, inputs, request, targets, context))
    seconds = time.perf_counter() - started if traced.traces == traces else math.nan
    return explanation, seconds / len(inputs), counter.total / (-(-len(inputs) // size) * size)


def _of_one_input(plan: Plan, explanation: Explanation) -> Explanation:
    """Of several inputs, the maps of the one that is perturbed by default."""
    return (
        explanation.input(part_named(None, plan.traced.parts).name)
        if isinstance(explanation.maps, dict)
        else explanation
    )
