"""What is wrong with scores and maps, or may surprise: values that are not finite, zeros, probabilities."""

import keras
import numpy as np

from keras_actmaps import backend
from keras_actmaps.core.layer_types import layer_type
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.core.warn import warn_user
from keras_actmaps.methods.registry import Method


def check_finite(method: Method, maps: Array, scores: Array) -> None:
    """ValueError for scores or maps that are not finite."""
    for name, array in (("score", scores), ("map", maps)):
        finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
        if not finite.all():
            raise ValueError(f"{method.name}: the {name} of input {int(np.argmin(finite))} is NaN or Inf")


def warn_of_zero_maps(method: Method, maps: Array) -> None:
    """Warn about maps that are zero everywhere."""
    empty = np.flatnonzero(~maps.reshape(len(maps), -1).any(axis=1))
    if empty.size:
        shown = ", ".join(map(str, empty[:5])) + (", ..." if empty.size > 5 else "")
        warn_user(
            f"{method.name}: {empty.size} of {len(maps)} maps are all zero (inputs {shown}); nothing supports the "
            "target there, or no gradient reaches the input or the layer",
        )


def warn_of_probabilities(traced: TracedModel, inputs: Array) -> None:
    """Warn if the outputs are probabilities whose softmax or sigmoid cannot be separated from what is before it."""
    if traced.has_gradients and _returns_probabilities(traced, inputs):  # a function's scores are what it returns
        warn_user(
            f"{traced.name!r} returns probabilities, and its softmax cannot be removed because it is inside a layer "
            "or model that cannot be traced, or is no plain softmax or sigmoid of one tensor; the maps explain "
            "probabilities, not logits, and vanish where the model is certain",
        )


def _returns_probabilities(traced: TracedModel, inputs: Array) -> bool:
    """Whether the outputs are bounded by operations, or sum to 1 and come from a layer of unknown type."""
    if traced.has_bounded_outputs or not _ends_in_unknown_layer(traced):
        return traced.has_bounded_outputs
    outputs = [backend.to_numpy(output) for output in keras.tree.flatten(traced.outputs(inputs[:1]))]
    return all(output.ndim == 2 and output.min() >= 0 and abs(output.sum() - 1) < 1e-3 for output in outputs)


def _ends_in_unknown_layer(traced: TracedModel) -> bool:
    """Whether the outputs come from the model as a single node, or from a layer of unknown type."""
    nodes = map(traced.graph.producer, keras.tree.flatten(traced.graph.outputs))
    return traced.graph.is_opaque or any(node is not None and layer_type(node) is None for node in nodes)
