"""Selection of metrics: by name with settings, by the available ground truth, and by default."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.settings import validate_settings
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.metrics.registry import METRICS, TRUTH, Metric, find_metric

DEFAULTS = {"": ("deletion", "insertion"), "masks": ("pointing_game", "energy_pointing"), "boxes": ("box_iou",)}


@dataclass(frozen=True, eq=False)
class MetricRequest:
    """A metric and all its settings, validated."""

    metric: Metric
    settings: Mapping[str, Any]

    def validate(self, truth: Mapping[str, Any]) -> None:
        """ValueError if the metric requires masks or boxes that are not in the truth."""
        for name in TRUTH:
            if name in self.metric.requires and name not in truth:
                raise ValueError(f"{self.metric.name} requires {name}, and the images have none")

    def update(
        self,
        model: Any,
        images: Any,
        explanation: Explanation,
        truth: Mapping[str, Any],
        targets: Any = None,
        batch_size: int = 32,
    ) -> Array:
        """The state (N, ...) of a batch: the values themselves, unless they depend on all images of the set.

        truth: {"masks": ..., "boxes": ...}, as far as available. targets: the target function, if one was explained.
        """
        if "model" in self.metric.requires:
            function = targets if callable(targets) else None
            return self.metric.function(
                model, images, explanation, targets=function, batch_size=batch_size, **self.settings
            )
        arguments = [truth[name] for name in TRUTH if name in self.metric.requires]
        return (self.metric.update or self.metric.function)(explanation, *arguments, **self.settings)

    def compute(self, states: Sequence[Array]) -> Array:
        """The values (N,) of all images from the states of their batches."""
        state = np.concatenate(states)
        return state if self.metric.compute is None else self.metric.compute(state, **self.settings)


def make_request(metric: str | Metric, settings: Mapping[str, Any] | None = None) -> MetricRequest:
    """A metric by name with all its settings; ValueError for an unknown name and for invalid values."""
    found = find_metric(metric)
    return MetricRequest(found, validate_settings(found.name, found.settings, settings or {}))


def suitable_metrics(truth: Mapping[str, Any]) -> list[str]:
    """The names of the metrics that require no other ground truth."""
    missing = set(TRUTH) - set(truth)
    return [name for name, metric in METRICS.items() if not metric.requires & missing]


def fitting_metrics(truth: Mapping[str, Any], traced: TracedModel, inputs: Any, targets: Any) -> list[str]:
    """The names of the metrics that require no other ground truth and are defined for these inputs and targets."""
    shape = traced.validate_inputs(inputs).shape[1:]
    found = [METRICS[name] for name in suitable_metrics(truth)]
    return [metric.name for metric in found if metric.fits is None or metric.fits(traced, shape, targets)]


def default_metrics(truth: Mapping[str, Any]) -> list[str]:
    """The names of the default metrics for this ground truth."""
    return [name for what, names in DEFAULTS.items() if not what or what in truth for name in names]
