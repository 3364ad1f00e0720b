"""What of a network can be asked for: class logits, channels of a layer, single neurons; and how active they are."""

import numbers
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.graph import run_nodes
from keras_actmaps.core.layer_types import RELU, operation_name
from keras_actmaps.core.rewrite import split_activations
from keras_actmaps.methods.registry import space

CLASS, CHANNEL, NEURON = "class", "channel", "neuron"
LEAK = 0.1  # of the gradient that reaches a unit that a ReLU keeps silent


@dataclass(frozen=True, eq=False)
class Units:
    """K units of one kind: their places in what `activations` gives, and the numbers they were asked for by."""

    kind: str
    places: np.ndarray  # int32 (K,)
    numbers: np.ndarray  # int64, (K,), or (K,3) for neurons: y, x, channel


def find_units(probe, targets, at_layer: bool, image: np.ndarray) -> Units:
    """Targets as a user gives them -> Units; ValueError for what there is not.

    Not at a layer: a class, classes or "all". At one: a channel, channels or "all", or tuples (y, x, channel).
    image: one (1,H,W,C), for a model whose shapes are known only when it is called.
    """
    shape = _shape(probe, at_layer, image)
    if isinstance(targets, str) and targets == "all":
        targets = range(shape[-1])
    single = isinstance(targets, (numbers.Integral, tuple))
    try:
        asked = np.asarray([targets] if single else targets)
    except ValueError:  # of several lengths
        asked = np.empty(0)
    is_whole = asked.size and np.issubdtype(asked.dtype, np.integer)
    if is_whole and at_layer and asked.ndim == 2 and asked.shape[1] == len(shape):
        kind, limits = NEURON, shape
    elif is_whole and asked.ndim == 1:
        kind, limits = CHANNEL if at_layer else CLASS, shape[-1:]
    else:
        choices = "channels, or neurons (y, x, channel)" if at_layer else "classes; with a layer=, channels or neurons"
        raise ValueError(f"targets {targets!r} are no units; give whole numbers: {choices}; or 'all'")
    rows = asked.reshape(len(asked), -1)
    outside = ((rows < 0) | (rows >= limits)).any(axis=1)
    if outside.any():
        raise ValueError(_missing(probe, kind, rows[outside.argmax()].tolist(), shape))
    return Units(kind, np.ravel_multi_index(tuple(rows.T), limits).astype("int32"), asked.astype("int64"))


def activations(probe, images, kind: str):
    """How active all units of a kind are: (N, units), logits, means of channels over space, or neurons by rows."""
    if kind == CLASS:
        return probe.outputs(images)
    features = _features(probe, images)
    if kind == CHANNEL:
        return ops.mean(features, axis=space(features))
    return ops.reshape(features, (features.shape[0], -1))


def _features(probe, images):
    """The features (N,h,w,C) of the probe's layer; below a ReLU at its end silent units keep a slight gradient."""
    slot = probe.graph.slot_of[probe.layer]
    graph = split_activations(replace(probe.graph, steps=probe.graph.ancestors([slot])))
    steps = [replace(step, operation=_leaking(step.operation))
             if slot in step.writes and operation_name(step.operation) in RELU else step for step in graph.nodes]  # fmt: skip
    return ops.cast(run_nodes(steps, {graph.inputs[0]: images})[slot], "float32")


def _leaking(relu: Callable) -> Callable:
    """ReLU whose gradient is LEAK, not 0, where its input is below 0."""

    def backward(x, gradient):
        (own,) = backend.vjp(lambda x: [relu(x)], [x])[1]([gradient])
        return own + LEAK * gradient * ops.cast(x < 0, gradient.dtype)

    return backend.custom_gradient(relu, backward)


def _shape(probe, at_layer: bool, image: np.ndarray) -> tuple[int, ...]:
    """The shape of one image's logits (classes,), or of its features (h,w,C)."""
    if not at_layer and probe.classes is not None:
        return (probe.classes,)
    if at_layer:
        probe.require_one_layer("ascent")
        known = probe.graph.shapes[probe.graph.slot_of[probe.layer]][1:]
        if None not in known:
            return known
        return tuple(probe.program((_features,), lambda images: _features(probe, images))(image).shape[1:])
    outputs = probe.program((_shape,), probe.outputs)(image) if probe.graph.is_opaque else None
    if len(getattr(outputs, "shape", ())) != 2:
        raise ValueError(f"the outputs of {probe.name!r} are no class scores (N, classes); give a layer=")
    return (outputs.shape[1],)


def _missing(probe, kind: str, asked: list[int], shape: tuple[int, ...]) -> str:
    if kind == CLASS:
        return f"no class {asked[0]}; {probe.name!r} has the classes 0 to {shape[0] - 1}"
    if kind == CHANNEL:
        return f"no channel {asked[0]}; layer {probe.layer!r} has the channels 0 to {shape[-1] - 1}"
    return f"no neuron {tuple(asked)}; layer {probe.layer!r} gives {shape}, as (y, x, channel)"
