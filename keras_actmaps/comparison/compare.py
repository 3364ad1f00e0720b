"""compare(): several methods on the same images, in maps and in one table."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Annotated, Any, NamedTuple

import keras
import numpy as np

from keras_actmaps.comparison.batches import array_batches, stream_batches
from keras_actmaps.comparison.measure import BatchResult, Plan, require_count, run_batches
from keras_actmaps.comparison.request import Labeled, labeled_requests, method_requests
from keras_actmaps.comparison.stored import StoredRequest
from keras_actmaps.comparison.table import Table
from keras_actmaps.core.batching import even_batch_size, refuse_inputs_as_labels
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.explanation import Explanation, concatenate
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Ge, Setting
from keras_actmaps.core.types import Array
from keras_actmaps.core.validation import validate_batch_size
from keras_actmaps.methods import explain
from keras_actmaps.methods.request import MethodRequest, make_request
from keras_actmaps.metrics import selection
from keras_actmaps.metrics._several import has_table
from keras_actmaps.metrics.selection import MetricRequest

DEFAULT_METHODS = ("gradcam", "saliency", "integrated_gradients", "lrp")
_KEEP = Setting("keep", Annotated[int, Ge(0)] | None, None, "images whose maps are kept")


class Comparison(NamedTuple):
    """The Explanation of each method, in the order in which the methods were passed, and the table."""

    explanations: list[Explanation]
    table: Table


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
        Names, or (name, settings) such as ("lrp", {"rule": "gamma"}). The maps of a finished `explain_all` are read
        batch by batch: a `Maps`, or ("label", maps), of the same images in the same order. An image without a map has
        no values.
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
        masks or boxes, and for two rows or columns with the same label. For stored maps of other images or targets.
    """
    validate_batch_size(batch_size)
    keep = _KEEP.validate(keep)
    rows = method_requests(methods, make_request)
    columns = None if metrics is None else labeled_requests("metrics", metrics, selection.make_request)
    if hasattr(images, "shape") or (has_table(model) and isinstance(images, (list, tuple, Mapping))):
        batches, count, select = array_batches(images, masks, boxes, targets, batch_size)
        require_count(rows, len(keras.tree.flatten(images)[0]))
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
    results = run_batches(Plan(traced, rows, columns, select, keep, skip, context), chain([first], batches), count)
    if not results:
        raise ValueError("none of the methods fits the model")
    return _summarize([row for row in rows if row.label in results], columns, list(results.values()))


def _summarize(
    rows: list[Labeled[MethodRequest | StoredRequest]],
    columns: list[Labeled[MetricRequest]],
    results: list[list[BatchResult]],
) -> Comparison:
    """The results of each method for all batches as an Explanation and a row of the table."""
    table = Table(
        methods=tuple(row.label for row in rows),
        metrics=tuple(column.label for column in columns),
        better=tuple(column.request.metric.better for column in columns),
        values=np.array(
            [[_values(c.request, i, batches) for i, c in enumerate(columns)] for batches in results], "float64"
        ),
        seconds=np.array([_mean([batch.seconds for batch in batches]) for batches in results]),
        passes=np.array([_mean([batch.passes for batch in batches]) for batches in results]),
    )
    return Comparison([concatenate([batch.explanation for batch in batches]) for batches in results], table)


def _values(request: MetricRequest, index: int, batches: list[BatchResult]) -> Array:
    """The values (N,) of one method and metric, NaN for images without a map."""
    good = np.concatenate([batch.has_map for batch in batches])
    values = np.full(len(good), np.nan)
    if good.any():
        values[good] = request.compute([batch.states[index] for batch in batches if batch.states])
    return values


def _mean(numbers: list[float]) -> float:
    """The mean of the known numbers, NaN if none is."""
    known = [number for number in numbers if not math.isnan(number)]
    return float(np.mean(known)) if known else math.nan
