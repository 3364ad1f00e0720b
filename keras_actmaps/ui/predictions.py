"""The probabilities of the classes, from the same compiled programs that explain the model."""

from typing import Any

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.attribution import Attribution
from keras_actmaps.core.graph import only_output
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.ui.models import Loaded

BATCH = 16  # images at a time


def probabilities(loaded: Loaded, inputs: Array) -> Array | None:
    """The probabilities (N, classes) of inputs; None where the outputs are no class scores."""
    traced = loaded.traced
    rows: list[Array] = []
    for start in range(0, len(inputs), BATCH):
        batch = inputs[start : start + BATCH]
        padded = np.concatenate([batch, np.repeat(batch[-1:], BATCH - len(batch), 0)]) if len(inputs) > 1 else batch
        validated = traced.validate_inputs(padded)
        context = RunContext(len(validated), len(validated))
        outputs, _, _ = traced.run(
            all_outputs, validated, traced.validate_targets(None, len(validated)), context=context
        )
        found = as_probabilities(outputs, loaded)
        if found is None:
            return None
        rows.append(found)
    return np.concatenate(rows)[: len(inputs)] if rows else None


def all_outputs(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """A function for `TracedModel.run` whose values are all outputs, before a softmax or sigmoid."""
    outputs = traced.outputs(inputs)
    return Attribution(only_output(outputs), outputs)


def as_probabilities(outputs: Any, loaded: Loaded) -> Array | None:
    """Outputs (N, classes) of `all_outputs` after the model's own softmax or sigmoid, or a softmax if it has none.

    None for outputs that are no class scores.
    """
    if not hasattr(outputs, "shape") or len(outputs.shape) != 2:
        return None
    (activation,) = loaded.traced.graph.output_activations or (None,)
    values = np.asarray(backend.to_numpy(outputs), "float32")
    is_probability = (values >= 0).all() and np.allclose(values.sum(1), 1, atol=1e-3)  # of an activation that stayed
    if activation is None and not is_probability:
        activation = ops.sigmoid if values.shape[1] == 1 else ops.softmax
    if activation is not None:
        values = np.asarray(backend.to_numpy(activation(ops.convert_to_tensor(values))), "float32")
    return np.concatenate([1 - values, values], axis=1) if values.shape[1] == 1 else values
