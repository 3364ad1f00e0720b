"""compare(): several methods on the same images, in maps and in one table."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Annotated, Any, NamedTuple

import keras
import numpy as np

from keras_actmaps.comparison.batches import Batch, array_batches, stream_batches
from keras_actmaps.comparison.request import Labeled, labeled_requests
from keras_actmaps.comparison.table import Table
from keras_actmaps.core.attribution import Target
from keras_actmaps.core.batching import even_batch_size, refuse_inputs_as_labels
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.explanation import Explanation, concatenate
from keras_actmaps.core.progress import progress
from keras_actmaps.core.run_context import PassCounter, RunContext
from keras_actmaps.core.settings import Ge, Setting
from keras_actmaps.core.several_inputs import part_named
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.core.validation import validate_batch_size
from keras_actmaps.methods import explain
from keras_actmaps.methods.explain import MethodRequest
from keras_actmaps.metrics import selection
from keras_actmaps.metrics._several import has_table
from keras_actmaps.metrics.selection import MetricRequest

DEFAULT_METHODS = ("gradcam", "saliency", "integrated_gradients", "lrp")
_KEEP = Setting("keep", Annotated[int, Ge(0)] | None, None, "images whose maps are kept")


class Comparison(NamedTuple):
    """The Explanation of each method, in the order in which the methods were passed, and the table."""

    explanations: list[Explanation]
    table: Table


@dataclass(frozen=True, eq=False)
class BatchResult:
    """The results of one method for one batch.

    Attributes
    ----------
    explanation : Explanation
        Of the images whose maps are kept.
    states : list of array
        The state of each metric.
    seconds, passes : float
        Per image; seconds are NaN if anything was compiled.
    """

    explanation: Explanation
    states: list[Array]
    seconds: float
    passes: float


@dataclass(frozen=True, eq=False)
class _Plan:
    """A validated comparison: what to compute for each batch."""

    traced: TracedModel
    rows: list[Labeled[MethodRequest]]
    columns: list[Labeled[MetricRequest]]
    select: Callable[[Any], Any]  # from the labels of a batch to its targets
    keep: int | None
    skip: Callable[[str, ValueError], None] | None
    context: RunContext


def compare(
    model: Any,
    images: Any,
    methods: Sequence = DEFAULT_METHODS,
    metrics: Sequence | None = None,
    masks: Any = None,
    boxes: Any = None,
    targets: Any = None,
    layer: Any = None,
    batch_size: int = 32,
    precision: str | None = None,
    keep: int | None = None,
    skip: Callable[[str, ValueError], None] | None = None,
) -> Comparison:
    """Explain the same images by several methods, and measure the maps.

    Parameters
    ----------
    model, layer, precision, batch_size
        As for `explain`.
    images : array of shape (N, ...) or iterable
        A stream of any length, as for `explain_dataset`, contains images, (images, labels) or (images, labels,
        {"masks": ..., "boxes": ...}).
    methods : sequence
        Names, or (name, settings) such as ("lrp", {"rule": "gamma"}).
    metrics : sequence or None
        Names of `METRICS`, or (name, settings). None is deletion and insertion, with masks also pointing_game and
        energy_pointing, with boxes also box_iou.
    masks, boxes : array or None
        Ground truth for localization metrics, if images are an array; a stream contains its own.
    targets : None, int, array, callable or "labels"
        None is the predicted class; a class; classes (N,); a function of the outputs; for a stream also "labels". The
        score of a `kam.targets.Box` is measured as in `kam.metrics` where all methods explain the same one; otherwise
        it is the similarity to the detections for all of them.
    keep : int or None
        Number of images whose maps are kept; None is all. Otherwise memory is constant except for one number per image,
        method and metric, and 400 bytes to 8 kB for max_box_accuracy and pixel_average_precision.
    skip : callable or None
        `skip(label, error)` is called for a method that does not fit the model, which is then skipped; None raises the
        error.

    Returns
    -------
    Comparison
        (explanations, table): the Explanation of each method, of the images whose maps are kept, and a `Table`.

    Raises
    ------
    ValueError
        Before any computation, for invalid arguments of `explain` and the metrics, for a metric that requires missing
        masks or boxes, and for two rows or columns with the same label.
    """
    validate_batch_size(batch_size)
    keep = _KEEP.validate(keep)
    rows = labeled_requests("methods", methods, explain.make_request)
    columns = None if metrics is None else labeled_requests("metrics", metrics, selection.make_request)
    if hasattr(images, "shape") or (has_table(model) and isinstance(images, (list, tuple, Mapping))):
        batches, count, select = array_batches(images, masks, boxes, targets, batch_size)
    else:
        rank = explain.input_rank(model)
        batches, count, select = stream_batches(images, masks, boxes, targets, batch_size, rank)
    first = next(batches, None)
    if first is None:
        raise ValueError("there are no images to compare methods on")
    if columns is None:
        columns = labeled_requests("metrics", selection.default_metrics(first[2]), selection.make_request)
    for column in columns:
        column.request.validate(first[2])
    traced = as_traced(model, layer, precision, first[0])
    refuse_inputs_as_labels(first[0], first[1], traced.classes)
    inputs = traced.validate_inputs(first[0])
    for row in rows if skip is None else []:
        row.request.validate(traced, inputs)
    context = RunContext(batch_size, even_batch_size(batch_size, len(inputs)))
    results = _run(_Plan(traced, rows, columns, select, keep, skip, context), chain([first], batches), count)
    if not results:
        raise ValueError("none of the methods fits the model")
    return _summarize([row for row in rows if row.label in results], columns, list(results.values()))


def _run(plan: _Plan, batches: Iterable[Batch], count: int) -> dict[str, list[BatchResult]]:
    """The results of each method that fits, by its label; `count` batches, or 0 if that is unknown."""
    results: dict[str, list[BatchResult]] = {row.label: [] for row in plan.rows}
    done = 0
    with progress("compare", "batch") as report:
        for images, labels, truth in batches:
            targets, kept = plan.select(labels), None if plan.keep is None else max(plan.keep - done, 0)
            for row in [row for row in plan.rows if row.label in results]:
                try:
                    results[row.label].append(_measure(plan, row.request, images, targets, truth, kept))
                except ValueError as error:
                    if plan.skip is None or done:
                        raise
                    plan.skip(row.label, error)
                    del results[row.label]
                report(1, count * len(plan.rows) or None)
            done += len(keras.tree.flatten(images)[0])
    for row in plan.rows:
        found = results.get(row.label, [])
        if found and all(math.isnan(result.seconds) for result in found):  # each batch compiled something
            found[-1] = replace(found[-1], seconds=_timed(plan, row.request, images, targets)[1])
    return results


def _measure(
    plan: _Plan, request: MethodRequest, images: Any, targets: Any, truth: Any, kept: int | None
) -> BatchResult:
    """One method's maps of one batch, and the states of the metrics."""
    explanation, seconds, passes = _timed(plan, request, images, targets)
    measured = targets
    if isinstance(targets, Target) and len({"gradients" in row.request.method.needs for row in plan.rows}) > 1:
        measured = targets.for_perturbations()  # one score for the whole table
    arguments = plan.traced, images, explanation, truth, measured, plan.context.batch_size
    states = [column.request.update(*arguments) for column in plan.columns]
    return BatchResult(explanation[:kept], states, seconds, passes)


def _timed(plan: _Plan, request: MethodRequest, images: Any, targets: Any) -> tuple[Explanation, float, float]:
    """The maps of one batch; per image the seconds, NaN if anything was compiled, and the passes."""
    traced, size = plan.traced, plan.context.padded_size
    counter, traces, started = PassCounter(), traced.traces, time.perf_counter()
    inputs = traced.validate_inputs(images)
    request.validate(traced, inputs)
    context = replace(plan.context, count_passes=counter.add)
    explanation = explain.explain_batch(traced, inputs, request, targets, context)
    if isinstance(explanation.maps, dict):  # of several inputs, the one that is perturbed by default
        explanation = explanation.input(part_named(None, traced.parts).name)
    seconds = time.perf_counter() - started if traced.traces == traces else math.nan
    return explanation, seconds / len(inputs), counter.total / (-(-len(inputs) // size) * size)


def _summarize(
    rows: list[Labeled[MethodRequest]], columns: list[Labeled[MetricRequest]], results: list[list[BatchResult]]
) -> Comparison:
    """The results of each method for all batches as an Explanation and a row of the table."""
    values = [
        [column.request.compute([batch.states[index] for batch in batches]) for index, column in enumerate(columns)]
        for batches in results
    ]
    table = Table(
        methods=tuple(row.label for row in rows),
        metrics=tuple(column.label for column in columns),
        better=tuple(column.request.metric.better for column in columns),
        values=np.array(values, "float64"),
        seconds=np.array([np.nanmean([batch.seconds for batch in batches]) for batches in results]),
        passes=np.array([np.mean([batch.passes for batch in batches]) for batches in results]),
    )
    return Comparison([concatenate([batch.explanation for batch in batches]) for batches in results], table)
