"""Validated inputs of a metric: the traced model, images, maps and targets, and the measured score."""

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_actmaps.core.attribution import Attribution, map_shape
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.explanation import Explanation, maps_of_one_target
from keras_actmaps.core.graph import only_output
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settle import settle
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods.registry import METHODS


class MetricInputs(NamedTuple):
    """Validated inputs of a metric.

    Attributes
    ----------
    traced : TracedModel
    images : float32 array of shape (N, ...), channels last
    maps : float64 array of shape (N, *space)
    targets : int32 array of shape (N,), or a function of the outputs
    context : RunContext
        Pads every batch to one size, so that a smaller last batch is not compiled again.
    """

    traced: TracedModel
    images: Array
    maps: Array
    targets: Any
    context: RunContext


def validate_inputs(
    model: Any, images: Any, explanation: Explanation, targets: Any, batch_size: int, layer: Any = None
) -> MetricInputs:
    """The inputs of a metric of a model; ValueError, before any computation, if they do not fit each other."""
    traced = as_traced(model, layer, inputs=images)
    images = traced.validate_inputs(images)
    maps, expected = one_map_per_image(explanation), (len(images), *map_shape(images))
    if maps.shape != expected:
        raise ValueError(f"maps of shape {maps.shape} do not fit the images, which need maps of shape {expected}")
    if targets is None:
        targets = explanation.targets
        if targets is None or (np.asarray(targets) < 0).any():
            raise ValueError("the maps explain a function of the outputs; pass it as targets=function")
    method = METHODS.get(explanation.method)
    targets = traced.validate_targets(targets if method is None else method.target_of(targets), len(images))
    if not callable(targets) and targets.ndim == 2:
        raise ValueError(f"targets must be one per image, (N,), got targets of shape {targets.shape}")
    context = RunContext(batch_size, batch_size)
    return MetricInputs(traced, images, maps.astype("float64"), settle(traced, images, targets, context), context)


def one_map_per_image(explanation: Explanation) -> Array:
    """The maps (N, ...); TypeError for other types, ValueError for maps of several targets."""
    if not isinstance(explanation, Explanation):
        raise TypeError(f"explanation must be an Explanation, got {type(explanation).__name__}")
    return maps_of_one_target(explanation)


def unit_range(maps: Array) -> Array:
    """Maps (N, ...) scaled to [0, 1], each separately; 0 for a constant map."""
    axes = tuple(range(1, maps.ndim))
    low, high = maps.min(axis=axes, keepdims=True), maps.max(axis=axes, keepdims=True)
    return (maps - low) / np.where(high > low, high - low, 1)


def target_scores(traced: TracedModel, inputs: Tensor, targets: Any, *, score: str) -> Attribution:
    """The measured scores (N,) of the targets, as a function for `TracedModel.run`.

    "softmax" leaves a single output and the value of a target function unchanged.
    """
    outputs = traced.outputs(inputs)
    is_softmax = score == "softmax" and not callable(targets) and only_output(outputs).shape[-1] > 1
    scores = traced.score(ops.softmax(only_output(outputs)) if is_softmax else outputs, targets)
    return Attribution(ops.sigmoid(scores) if score == "sigmoid" else scores, outputs)
