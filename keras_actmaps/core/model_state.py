"""The state of a model: whether it has changed since it was traced, and how it is called."""

from typing import Any

import keras

from keras_actmaps import backend
from keras_actmaps.core._keras_compat import all_layers
from keras_actmaps.core.graph import Graph, only_output
from keras_actmaps.core.warn import warn_user

STATELESS = frozenset({"built", "name", "trainable"})  # they do not change what a layer computes at inference


def model_state(model: Any) -> tuple:
    """A key that changes when a model must be traced again: its layers, their plain attributes, and variables."""
    if backend.is_torch_module(model):
        return tuple(map(id, model.modules()))
    layers = tuple(
        (id(layer), id(getattr(layer, "activation", None)), getattr(layer, "compute_dtype", None), _attributes(layer))
        for layer in all_layers(model)
    )
    return layers, tuple(map(id, model.variables))


def _attributes(layer: Any) -> tuple:
    """The public attributes of a layer that are numbers, words or tuples of them, such as a slope or strides.

    Those of models are not read: they count steps of training and the like.
    """
    if isinstance(layer, keras.Model):
        return ()
    return tuple(
        (name, value)
        for name, value in vars(layer).items()
        if isinstance(value, (int, float, str, tuple)) and name[0] != "_" and name not in STATELESS
    )


def has_single_sigmoid(graph: Graph) -> bool:
    """Whether the model has a single output unit, whose sigmoid has been removed."""
    output = only_output(graph.outputs)
    is_single = isinstance(output, int) and graph.shapes.get(output, ())[1:] == (1,)
    return is_single and graph.output_activations not in ((), (None,))


def warn_of_changing_calls(graph: Graph) -> None:
    """Warn of layers whose outputs change from call to call.

    Those called with `training=True` are explained at inference, and stateful ones from zeros; maps of custom layers
    that are random at inference differ from call to call.
    """
    if graph.in_training:
        warn_user(f"called with training=True, but explained at inference: {', '.join(graph.in_training)}")
    if graph.random:
        warn_user(f"random at inference, so that maps differ from call to call: {', '.join(graph.random)}")
    if graph.stateful:
        warn_user(f"stateful, but explained from states of zeros, as after a reset: {', '.join(graph.stateful)}")
