"""Turns: the same question, snapshot_request again and again while a model is fitted, and each answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from keras_actmaps import backend
from keras_actmaps.callbacks.image_source import ImageSource
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.validation import PREDICTED
from keras_actmaps.methods import explain, registry
from keras_actmaps.metrics import selection
from keras_actmaps.metrics.registry import find_metric

SHOWN = 10  # images of a picture


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One explanation of the watched images: after which epoch or batch, with the weights of that moment.

    predicted: the classes of the first images, which are drawn, where there are classes. values: the means of metrics.
    """

    number: int
    explanation: Explanation
    predicted: np.ndarray | None = None
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SnapshotRequest:
    """What is snapshot_request at each turn. targets: None, a class, (N,) classes or a function of the outputs."""

    watched: ImageSource
    method: str
    targets: object
    layer: object
    batch_size: int
    metrics: tuple[str, ...]
    settings: dict

    def answer(self, model, number: int) -> Snapshot:
        """The turn of that number, with the model's weights of now."""
        images, size = self.watched.images, self.batch_size
        explanation = explain.explain(model, images, self.method, self.targets, self.layer, size, **self.settings)
        probe = explain.as_traced(model, self.layer)
        predicted = explanation.targets if self.targets is None else _predicted(probe, images[:SHOWN])
        return Snapshot(number, explanation, predicted, self._measured(probe, explanation))

    def _measured(self, probe, explanation: Explanation) -> dict[str, float]:
        """The metrics' means over the images that have a value."""
        found, given = {}, (probe, self.watched.images, explanation, {"masks": self.watched.masks}, self.targets)
        for name in self.metrics:
            values = selection.ask(find_metric(name), *given, self.batch_size)
            found[name] = float(np.nanmean(values)) if np.isfinite(values).any() else np.nan
        return found


def snapshot_request(watched: ImageSource, method: str, targets, layer, batch_size: int, metrics, settings: dict) -> SnapshotRequest:
    """The question, checked as far as that can be done without the model; ValueError for what does not fit."""
    if explain.complete(method, settings).get("channels") == "keep":
        raise ValueError("channels='keep' gives several maps an image, and a picture shows one")
    registry.check_count("batch_size", batch_size)
    if isinstance(targets, str) and targets == "labels":
        if watched.labels is None:
            raise ValueError("targets='labels', but the labels of the images are not known")
        targets = watched.labels
    if isinstance(targets, str) or np.ndim(targets) > 1:
        raise ValueError(f"targets={targets!r}: a picture shows one map an image; give a class, (N,) classes, 'labels' "
                         "or a function")  # fmt: skip
    return SnapshotRequest(watched, method, targets, layer, batch_size, _metrics(metrics, watched), settings)


def _metrics(metrics, watched: ImageSource) -> tuple[str, ...]:
    truth = {} if watched.masks is None else {"masks": watched.masks}
    if metrics is None:
        return ("energy_pointing",) if truth else ()
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    for name in names:
        selection.check(name, {})
        selection.check_truth(name, truth)
    return names


def _predicted(probe, images) -> np.ndarray | None:
    """The classes (N,) that the model predicts; None where it predicts none. One forward pass."""
    if probe.classes is None:
        return None
    ask = np.full(len(images), PREDICTED, "int32")
    return backend.to_numpy(probe.ask(registry.scores_only, probe.validate_inputs(images), ask)[1])
