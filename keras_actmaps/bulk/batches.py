"""The maps of consecutive rows of a source, in batches of one size; a row that fails has NaN and a reason."""

import warnings
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_actmaps.bulk.identity import describe
from keras_actmaps.bulk.job import Job
from keras_actmaps.bulk.shard import Part
from keras_actmaps.bulk.source import Row
from keras_actmaps.comparison.batches import is_shared
from keras_actmaps.core.attribution import rows_of
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.explanation import PER_IMAGE, Explanation, concatenate
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods.explain import select_targets
from keras_actmaps.methods.explain_batch import explain_batch

WARNING = "warning: "
ABOUT = ("method", "layer", "layer_reason", "settings", "versions", "target_name")


class Batch(NamedTuple):
    """Inputs (N, ...) and labels (N, ...) or None, with the example in the place of rows that cannot be explained."""

    inputs: Any
    labels: Array | None
    errors: dict[int, str]


def explain_rows(
    job: Job,
    start: int,
    stop: int,
    skip: Mapping[int, str],
    size: int,
    report: Callable[[int], None],
    say: Callable[[str], None],
) -> tuple[Part, dict[str, Any]]:
    """The results of the rows from `start` to `stop`, and what they have in common; see `run_task`."""
    found: list[Explanation] = []
    errors: dict[int, str] = {}
    rows = job.source.rows(start, stop)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for first in range(start, stop, size):
            batch = _assemble(job, list(islice(rows, min(size, stop - first))), first, skip)
            explanation, failed = _explain(job, batch, first, size)
            errors |= batch.errors | failed
            found.append(explanation)
            report(len(explanation))
    for text in dict.fromkeys(str(warning.message) for warning in caught if warning.category is UserWarning):
        say(f"{WARNING}{text}")
    whole = concatenate(found)
    arrays = _arrays(whole)
    for row in errors:
        for name, array in arrays.items():
            array[row - start] = -1 if name == "targets" else np.nan
    return Part(arrays, errors), _about(job, whole)


def _assemble(job: Job, rows: list[Row], first: int, skip: Mapping[int, str]) -> Batch:
    """Consecutive rows as a batch."""
    errors: dict[int, str] = {}
    kept: list[tuple[Any, Any]] = []
    for number, row in enumerate(rows, first):
        reason = skip.get(number) or _obstacle(row, job.example)
        if reason:
            errors[number] = reason
        kept.append(job.example if reason or isinstance(row, Exception) else row)
    inputs = keras.tree.map_structure(lambda *arrays: np.stack(arrays), *(inputs for inputs, _ in kept))
    labels = None if kept[0][1] is None else np.stack([label for _, label in kept])
    return Batch(inputs, labels, errors)


def _obstacle(row: Row, example: tuple[Any, Any]) -> str:
    """Why a row cannot be explained; empty if it can."""
    if isinstance(row, Exception):
        return " ".join(str(row).split()) or type(row).__name__
    shapes, expected = _shapes(row[0]), _shapes(example[0])
    if shapes != expected:
        return f"of shape {', '.join(map(str, shapes))}, and the others of {', '.join(map(str, expected))}"
    return "" if (row[1] is None) == (example[1] is None) else "without a label, and others have one"


def _shapes(inputs: Any) -> list[tuple[int, ...]]:
    if isinstance(inputs, np.ndarray):  # keras.tree takes longer than all else per row
        return [inputs.shape]
    return [np.shape(array) for array in keras.tree.flatten(inputs)]


def _explain(job: Job, batch: Batch, first: int, size: int) -> tuple[Explanation, dict[int, str]]:
    """The maps of a batch, and why rows have none; after a ValueError, of each row alone.

    Raises ValueError if not even the example can be explained.
    """
    count = len(keras.tree.flatten(batch.inputs)[0])
    numbers = np.arange(first, first + count)
    try:
        return _explain_batch(job, batch.inputs, batch.labels, numbers, size), {}
    except ValueError:
        pass
    found: list[Explanation | None] = []
    failed: dict[int, str] = {}
    for row, number in enumerate(numbers.tolist()):
        inputs = keras.tree.map_structure(lambda array, row=row: array[row : row + 1], batch.inputs)
        labels = None if batch.labels is None else batch.labels[row : row + 1]
        try:
            found.append(_explain_batch(job, inputs, labels, np.array([number]), size))
        except ValueError as error:
            found.append(None)
            failed[number] = " ".join(str(error).replace("of input 0 ", "").split())
    spare = next((one for one in found if one is not None), None)
    if spare is None:
        example = keras.tree.map_structure(lambda array: np.asarray(array)[None], job.example[0])
        label = None if job.example[1] is None else np.asarray(job.example[1])[None]
        spare = _explain_batch(job, example, label, np.zeros(1, int), size)
    return concatenate([one or spare for one in found]), failed


def _explain_batch(job: Job, inputs: Any, labels: Array | None, numbers: Array, size: int) -> Explanation:
    """The maps of a batch, padded to `size`; maps at a layer are not resized."""
    targets = targets_of(job.targets, numbers)
    traced = as_traced(job.model, job.layer, job.precision, inputs, job.xla).for_target(targets)
    targets = select_targets(targets, labels)
    inputs = traced.validate_inputs(inputs)
    context = RunContext(size, size, resizes=not is_at_layer(job, traced))
    return explain_batch(traced, inputs, job.request, targets, context)


def is_at_layer(job: Job, traced: TracedModel) -> bool:
    """Whether maps are stored at the size of their layer."""
    is_view = traced.is_table and job.request.perturbs
    return job.request.method.level == "layer" and not is_view


def targets_of(targets: Any, numbers: Array) -> Any:
    """The targets of some rows of the source, or those of all rows; "labels" is left as it is."""
    return targets if is_shared(targets) else rows_of(np.asarray(targets), numbers)


def _arrays(explanation: Explanation) -> dict[str, Array]:
    """The arrays of an explanation with one row per image; they may be written to."""
    maps = explanation.maps
    arrays = {f"maps/{name}": part for name, part in maps.items()} if isinstance(maps, dict) else {"maps": maps}
    others = {name: getattr(explanation, name) for name in PER_IMAGE if name != "maps"}
    arrays |= {name: array for name, array in others.items() if array is not None}
    return {name: np.array(array) for name, array in arrays.items()}


def _about(job: Job, explanation: Explanation) -> dict[str, Any]:
    """What all rows have in common, as JSON, with the size to which maps at a layer are resized."""
    inputs = keras.tree.map_structure(lambda array: np.asarray(array)[None], job.example[0])
    traced = as_traced(job.model, job.layer, job.precision, inputs, job.xla)
    space = list(traced.map_space(traced.validate_inputs(inputs))) if is_at_layer(job, traced) else None
    if job.request.settings.get("channels") == "keep":
        space = None
    return {name: describe(getattr(explanation, name)) for name in ABOUT} | {"space": space}
