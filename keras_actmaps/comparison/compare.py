"""compare(): several methods on the same images, in maps and in one table."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from operator import length_hint
from typing import NamedTuple

import numpy as np

from keras_actmaps import backend
from keras_actmaps.comparison.table import Table
from keras_actmaps.core.batching import even_batch_size, iterate_batches
from keras_actmaps.core.explanation import Explanation, concatenate, first_of
from keras_actmaps.core.progress import progress
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.methods import explain
from keras_actmaps.methods.registry import check_count
from keras_actmaps.metrics import selection
from keras_actmaps.metrics.registry import find_metric

USUAL = ("gradcam", "saliency", "integrated_gradients", "lrp")


class Comparison(NamedTuple):
    """The maps of each method, in the order they were asked for, and the table."""

    explanations: list[Explanation]
    table: Table


class Asked(NamedTuple):
    """A method or a metric by its name, and its settings."""

    name: str
    settings: dict

    @property
    def label(self) -> str:
        """What it is called in the table."""
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.settings.items())])


@dataclass(frozen=True, eq=False)
class Answer:
    """What one method gives for one batch: the maps that are kept, what each metric found, what an image took."""

    explanation: Explanation
    found: list[np.ndarray]
    seconds: float
    passes: float


def compare(
    model,
    images,
    methods: Sequence = USUAL,
    metrics: Sequence | None = None,
    masks=None,
    boxes=None,
    targets=None,
    layer=None,
    batch_size: int = 32,
    precision: str | None = None,
    keep: int | None = None,
    skip: Callable[[str, ValueError], None] | None = None,
) -> Comparison:
    """Explain the same images by several methods, and measure the maps.

    model, layer, precision, batch_size: as for `explain`.
    images: (N, ...), or a stream of any length as for `explain_dataset`: of images, (images, labels) or
        (images, labels, {"masks": ..., "boxes": ...}).
    methods: names, or (name, settings) such as ("lrp", {"rule": "gamma"}).
    metrics: names of `METRICS`, or (name, settings). None: deletion and insertion, and with masks pointing_game and
        energy_pointing, with boxes box_iou.
    masks, boxes: as the metrics of localisation take them, where images are an array; a stream brings its own.
    targets: None = the predicted class; a class; (N,) classes; a function; of a stream also "labels".
    keep: of how many images the maps are kept; None = all. Otherwise memory is flat, but for a number for each image,
        method and metric, and 400 bytes to 8 kB for max_box_accuracy and pixel_average_precision.
    skip: called with the name of a method that does not fit the model, and why, which is then left out; None: an error.

    Returns (explanations, table): the methods' Explanations of the first images, and a `Table`. A bar shows how far it
    is where it takes long. Raises ValueError, before any work, for what `explain` and the metrics do not take, for a
    metric that needs masks or boxes where there are none, and for two rows or columns of the same name.
    """
    check_count("batch_size", batch_size)
    rows = _asked("methods", methods, explain.complete)
    columns = None if metrics is None else _asked("metrics", metrics, selection.check)
    if hasattr(images, "shape"):
        batches, count = _sliced(images, masks, boxes, targets, batch_size), -(-len(images) // batch_size)
        targets = "labels" if _are_many(targets) else targets
    elif masks is not None or boxes is not None:
        raise ValueError('a stream brings its own masks and boxes: (images, labels, {"masks": ..., "boxes": ...})')
    else:
        rank = None if backend.is_torch_module(model) else len(explain.as_traced(model, layer, precision).input_shape)
        batches, count = iterate_batches(images, rank, batch_size), length_hint(images)
    first = next(batches, None)
    if first is None:
        raise ValueError("no images to compare methods on")
    columns = columns or [Asked(name, {}) for name in selection.usual(first[2])]
    for column in columns:
        selection.check_truth(column.name, first[2])
    probe = explain.as_traced(model, layer, precision, first[0]).sized(batch_size, even_batch_size(batch_size, len(first[0])))
    if skip is None:
        for row in rows:
            explain.check(probe, probe.validate_inputs(first[0]), row.name, row.settings)
    answers = _answers(probe, chain([first], batches), count, rows, columns, targets, keep, skip)
    if not answers:
        raise ValueError("none of the methods fits the model")
    return _joined([row for row in rows if row.label in answers], columns, list(answers.values()))


def _answers(
    probe: TracedModel, batches, count: int, rows: list[Asked], columns: list[Asked], targets, keep: int | None, skip
) -> dict[str, list[Answer]]:
    """What each method that fits gives for each batch; count: the batches, as far as that is known, or 0."""
    answers, done = {row.label: [] for row in rows}, 0
    with progress("compare", "batch") as report:
        for images, labels, truth in batches:
            wanted, kept = _targets(targets, labels), None if keep is None else max(keep - done, 0)
            for row in [row for row in rows if row.label in answers]:
                try:
                    answers[row.label].append(_answer(probe, images, row, columns, wanted, truth, kept))
                except ValueError as error:
                    if skip is None or done:
                        raise
                    skip(row.label, error)
                    del answers[row.label]
                report(1, count * len(rows) or None)
            done += len(images)
    for row in rows:
        found = answers.get(row.label, [])
        if found and all(math.isnan(answer.seconds) for answer in found):  # each batch compiled something
            found[-1] = replace(found[-1], seconds=_timed(probe, images, row, wanted)[1])
    return answers


def _answer(probe: TracedModel, images, row: Asked, columns: list[Asked], targets, truth: dict, kept: int | None) -> Answer:
    """One method's maps of one batch, measured."""
    explanation, seconds, passes = _timed(probe, images, row, targets)
    given = probe, images, explanation, truth, targets, probe.batch_size
    metrics = [(find_metric(column.name), column.settings) for column in columns]
    found = [selection.ask(getattr(metric, "parts", metric), *given, **settings) for metric, settings in metrics]
    return Answer(first_of(explanation, kept), found, seconds, passes)


def _timed(probe: TracedModel, images, row: Asked, targets) -> tuple[Explanation, float, float]:
    """The maps of one batch; what an image took: seconds, NaN where anything was compiled, and passes."""
    traces, passes, started = probe.traces, probe.passes, time.perf_counter()
    given = probe.validate_inputs(images)
    explanation = explain.explained(probe, given, row.name, targets, probe.batch_size, probe.size, row.settings)
    seconds = time.perf_counter() - started if probe.traces == traces else math.nan
    padded = -(-len(given) // probe.size) * probe.size
    return explanation, seconds / len(given), (probe.passes - passes) / padded


def _joined(rows: list[Asked], columns: list[Asked], by_method: list[list[Answer]]) -> Comparison:
    """The answers of each method to all batches as an Explanation and a row of the table."""
    metrics = [find_metric(column.name) for column in columns]
    values = []
    for answers in by_method:
        parts = [np.concatenate(found) for found in zip(*(answer.found for answer in answers))]
        values.append([metric.joined(part, **column.settings) if hasattr(metric, "joined") else part
                       for metric, column, part in zip(metrics, columns, parts)])  # fmt: skip
    table = Table(
        methods=tuple(row.label for row in rows),
        metrics=tuple(column.label for column in columns),
        better=tuple(metric.better for metric in metrics),
        values=np.array(values, "float64"),
        seconds=np.array([np.nanmean([answer.seconds for answer in answers]) for answers in by_method]),
        passes=np.array([np.mean([answer.passes for answer in answers]) for answers in by_method]),
    )
    return Comparison([concatenate([answer.explanation for answer in answers]) for answers in by_method], table)


def _asked(what: str, given: Sequence, check: Callable) -> list[Asked]:
    """Names, or names with settings, checked; ValueError where two would be called the same."""
    if isinstance(given, str) or not len(given):
        raise ValueError(f"{what}={given!r} is no list of {what}")
    asked = [Asked(item, {}) if isinstance(item, str) else Asked(item[0], dict(item[1])) for item in given]
    labels = [one.label for one in asked]
    for one in asked:
        check(one.name, one.settings)
        if labels.count(one.label) > 1:
            raise ValueError(f"{what}: {one.label!r} is there twice")
    return asked


def _sliced(images, masks, boxes, targets, batch_size: int) -> Iterator[tuple]:
    """(images, targets where there are some for each, truth) a batch at a time; ValueError where they do not fit."""
    truth = {name: part for name, part in (("masks", masks), ("boxes", boxes)) if part is not None}
    labels = np.asarray(targets) if _are_many(targets) else None
    for name, part in {"targets": labels, **truth}.items():
        if part is not None and len(part) != len(images):
            raise ValueError(f"{name} of {len(part)} images do not fit {len(images)} images")
    size = even_batch_size(batch_size, len(images)) if len(images) else 1
    for start in range(0, len(images), size):
        now = slice(start, start + size)
        yield images[now], None if labels is None else labels[now], {name: part[now] for name, part in truth.items()}


def _are_many(targets) -> bool:
    return not (targets is None or callable(targets) or isinstance(targets, str) or np.ndim(targets) == 0)


def _targets(targets, labels):
    """Those of one batch; ValueError for several an image, and for labels that there are not."""
    if isinstance(targets, str) and targets == "labels":
        if labels is None:
            raise ValueError("targets='labels', but the dataset holds images only")
        targets = labels
    if np.ndim(targets) > 1 or isinstance(targets, str):
        raise ValueError("methods are compared on one target an image: a class, (N,) classes or a function")
    return targets
