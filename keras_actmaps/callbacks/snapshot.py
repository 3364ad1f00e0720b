"""Snapshot: the explanation of the same images at one step of a fit, and the repeated request."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_actmaps import backend
from keras_actmaps.callbacks.image_source import ImageSource
from keras_actmaps.core.batching import refuse_inputs_as_labels
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.labels import is_one_hot
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import show
from keras_actmaps.core.traced_model import TracedModel, outputs_only
from keras_actmaps.core.types import Array
from keras_actmaps.core.validation import PREDICTED
from keras_actmaps.methods import explain
from keras_actmaps.methods.request import make_request
from keras_actmaps.metrics import selection

SHOWN = 10  # images in a picture


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One explanation of the images with the weights at one step of a fit.

    Attributes
    ----------
    number : int
        The epoch or batch after which it was made, from 1.
    explanation : Explanation
    predicted : array of int, shape (min(N, SHOWN),) or (N,), or None
        The predicted classes of the images that are shown; None for a model without classes.
    values : mapping from str to float
        Means of the metrics.
    """

    number: int
    explanation: Explanation
    predicted: Array | None = None
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SnapshotRequest:
    """What is computed for each snapshot.

    Attributes
    ----------
    source : ImageSource
    method : str
    targets : None, int, array of int of shape (N,), or callable
    layer : str, int or None
    batch_size : int
    metrics : tuple of MetricRequest
    settings : mapping
        Settings of the method.
    """

    source: ImageSource
    method: str
    targets: int | Array | Callable | None
    layer: Any
    batch_size: int
    metrics: tuple[selection.MetricRequest, ...]
    settings: Mapping[str, Any]

    def compute(self, model: Any, number: int) -> Snapshot:
        """The snapshot of that number with the model's current weights."""
        inputs = self.source.inputs
        traced = as_traced(model, self.layer, inputs=inputs)
        refuse_inputs_as_labels(inputs, self.source.read_labels, traced.classes)
        rows, classes = self.targets, traced.classes
        if isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.shape[1] != classes:
            raise ValueError(f"one-hot targets of shape {rows.shape} do not fit a model with {classes} classes")
        explanation = explain.explain(
            traced, inputs, self.method, self.targets, batch_size=self.batch_size, **self.settings
        )
        if isinstance(explanation.maps, dict):  # of several inputs, the one that is drawn
            explanation = explanation.input(self._drawn(traced))
        first = keras.tree.map_structure(lambda array: array[:SHOWN], inputs)
        predicted = explanation.targets if self.targets is None else _predicted_classes(traced, first)
        return Snapshot(number, explanation, predicted, self._measure(traced, explanation))

    def _drawn(self, traced: TracedModel) -> str:
        """The name of the input that is drawn."""
        columns = traced.validate_inputs(self.source.inputs)
        images = self.source.images
        found = (part for part in traced.parts if part.shape == images.shape[1:])
        return next(part.name for part in found if np.array_equal(part.of(columns), images.astype("float32")))

    def _measure(self, traced: TracedModel, explanation: Explanation) -> dict[str, float]:
        """The metrics' means over the images that have a value."""
        means, truth = {}, self.source.truth
        for request in self.metrics:
            state = request.update(
                traced, self.source.inputs, explanation, truth, self.targets, batch_size=self.batch_size
            )
            values = request.compute([state])
            means[request.metric.name] = float(np.nanmean(values)) if np.isfinite(values).any() else np.nan
        return means


def make_snapshot_request(
    source: ImageSource,
    method: str,
    targets: Any,
    layer: Any,
    batch_size: int,
    metrics: str | Iterable[str] | None,
    settings: Mapping[str, Any],
) -> SnapshotRequest:
    """The request, validated as far as possible without the model; ValueError for invalid arguments."""
    request = make_request(method, settings, batch_size)
    if request.settings.get("channels") == "keep":
        raise ValueError("channels='keep' gives several maps per image, of which a picture can show only one")
    if isinstance(targets, str) and targets == "labels":
        if source.labels is None:
            raise ValueError("targets='labels', but the labels of the images are not known")
        targets = source.labels
    if np.ndim(targets) > 1:
        targets = np.asarray(targets)
    if isinstance(targets, str) or (np.ndim(targets) > 1 and not is_one_hot(targets, targets.shape[-1])):
        raise ValueError(
            f"targets must be a class, (N,) classes, one-hot rows, 'labels' or a function, since a picture shows one "
            f"map per image; got {show(targets)}"
        )
    chosen = _metric_requests(metrics, source.truth)
    return SnapshotRequest(source, request.method.name, targets, layer, batch_size, chosen, dict(settings))


def _metric_requests(
    metrics: str | Iterable[str] | None, truth: Mapping[str, Array]
) -> tuple[selection.MetricRequest, ...]:
    if metrics is None:
        metrics = ("energy_pointing",) if "masks" in truth else ()
    requests = tuple(map(selection.make_request, (metrics,) if isinstance(metrics, str) else metrics))
    for request in requests:
        request.validate(truth)
    return requests


def _predicted_classes(traced: TracedModel, images: Any) -> Array | None:
    """The classes (N,) that the model predicts, by one forward pass; None for a model without classes."""
    if traced.classes is None:
        return None
    inputs = traced.validate_inputs(images)
    targets = np.full(len(inputs), PREDICTED, "int32")
    context = RunContext(len(inputs), len(inputs))
    return backend.to_numpy(traced.run(outputs_only, inputs, targets, context=context)[1])
