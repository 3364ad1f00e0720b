"""Objectives of feature visualization: logits of classes, mean activations of channels, activations of neurons."""

import numbers
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.attribution import spatial_axes
from keras_actmaps.core.graph import only_output, run_nodes
from keras_actmaps.core.layer_types import RELU, operation_name
from keras_actmaps.core.rewrite import split_activations
from keras_actmaps.core.settings import show
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor

Level: TypeAlias = Literal["class", "channel", "neuron"]
LEAK = 0.1  # fraction of the gradient that passes an inactive ReLU, so that an inactive unit can be activated


@dataclass(frozen=True, eq=False)
class Objectives:
    """K objectives of one level, and the index (K,), int32, of each among the `activations` of that level."""

    level: Level
    indices: Array


def find_objectives(traced: TracedModel, targets: Any, at_layer: bool, image: Array) -> Objectives:
    """Objectives from user-supplied targets.

    Parameters
    ----------
    traced : TracedModel
    targets : int, sequence of int, tuple, sequence of tuples or "all"
        Classes; at a layer, channels, or neurons (y, x, channel).
    at_layer : bool
        Whether the targets are those of the layer of `traced`.
    image : array of shape (1, H, W, C)
        Input of a model whose shapes are known only when it is called.

    Raises
    ------
    ValueError
        For targets that do not exist.
    """
    shape = _activation_shape(traced, at_layer, image)
    array = _target_array(range(shape[-1]) if isinstance(targets, str) and targets == "all" else targets)
    is_integer = array.size > 0 and np.issubdtype(array.dtype, np.integer)
    level: Level
    if is_integer and at_layer and array.ndim == 2 and array.shape[1] == len(shape):
        level, limits = "neuron", shape
    elif is_integer and array.ndim == 1:
        level, limits = ("channel" if at_layer else "class"), shape[-1:]
    else:
        choices = "channels, neurons (y, x, channel)" if at_layer else "classes (with a layer, channels or neurons)"
        raise ValueError(f"targets must be {choices} or 'all', got {show(targets)}")
    rows = array.reshape(len(array), -1)
    outside = ((rows < 0) | (rows >= limits)).any(axis=1)
    if outside.any():
        raise ValueError(_missing(traced, level, rows[outside.argmax()].tolist(), shape))
    return Objectives(level, np.ravel_multi_index(tuple(rows.T), limits).astype("int32"))


def activations(traced: TracedModel, images: Tensor, level: Level) -> Tensor:
    """All activations (N, units) of a level: logits, means of channels over space, or neurons in row-major order."""
    if level == "class":
        return only_output(traced.outputs(images))
    features = _features(traced, images)
    if level == "channel":
        return ops.mean(features, axis=spatial_axes(features))
    return ops.reshape(features, (features.shape[0], -1))


def _target_array(targets: Any) -> Array:
    """Targets as an array of one row per target; empty if they are ragged or not numeric."""
    is_single = isinstance(targets, (numbers.Integral, tuple))
    try:
        return np.asarray([targets] if is_single else targets)
    except (ValueError, TypeError):
        return np.empty(0)


def _features(traced: TracedModel, images: Tensor) -> Tensor:
    """Features (N, h, w, C) of the layer; if it ends in a ReLU, inactive units keep a fraction of the gradient."""
    slot = traced.graph.slot_of[traced.require_one_layer("ascent")]
    graph = split_activations(replace(traced.graph, nodes=traced.graph.ancestors([slot])))
    nodes = [
        replace(node, operation=_leaky_gradient(node.operation))
        if slot in node.writes and operation_name(node.operation) in RELU
        else node
        for node in graph.nodes
    ]
    return ops.cast(run_nodes(nodes, {graph.inputs[0]: images})[slot], "float32")


def _leaky_gradient(relu: Callable) -> Callable:
    """ReLU that passes a fraction LEAK of the gradient where its input is negative."""

    def backward(x: Tensor, gradient: Tensor) -> Tensor:
        (own,) = backend.vjp(lambda x: [relu(x)], [x])[1]([gradient])
        return own + LEAK * gradient * ops.cast(x < 0, gradient.dtype)

    return backend.custom_gradient(relu, backward)


def _activation_shape(traced: TracedModel, at_layer: bool, image: Array) -> tuple[int, ...]:
    """The shape of the logits of one image, (classes,), or of its features, (h, w, C)."""
    if not at_layer and traced.classes is not None:
        return (traced.classes,)
    if at_layer:
        known = traced.graph.shapes[traced.graph.slot_of[traced.require_one_layer("ascent")]][1:]
        if None not in known:
            return known
        return tuple(traced.program((_features,), lambda images: _features(traced, images))(image).shape[1:])
    outputs = traced.program((_activation_shape,), traced.outputs)(image) if traced.graph.is_opaque else None
    shape = tuple(getattr(outputs, "shape", ()))
    if len(shape) != 2:
        raise ValueError(f"the outputs of {traced.name!r} are not class scores (N, classes); pass a layer")
    return shape[1:]


def _missing(traced: TracedModel, level: Level, target: list[int], shape: tuple[int, ...]) -> str:
    """The error message for a target that does not exist."""
    if level == "class":
        return f"class {target[0]} does not exist; {traced.name!r} has classes 0 to {shape[0] - 1}"
    if level == "channel":
        return f"channel {target[0]} does not exist; layer {traced.layer!r} has channels 0 to {shape[-1] - 1}"
    return (
        f"neuron {tuple(target)} does not exist; the features of layer {traced.layer!r} are {shape}, as (y, x, channel)"
    )
