"""Targets that read predictions, such as predicted regions, fixed to those of the original inputs."""

from typing import Any

import numpy as np

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.attribution import Attribution, BoundTarget, Target, rows_of
from keras_actmaps.core.batching import padded_batches
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor


def settle(traced: TracedModel, inputs: Array, targets: Any, context: RunContext) -> Any:
    """Validated targets that do not change while the inputs are perturbed.

    What they read from predictions is read once, from those of `inputs`; other targets are returned as they are.
    """
    if not isinstance(targets, Target) or targets.settled.program_key == targets.program_key:
        return targets
    found = []
    for (batch, rows), real in padded_batches([inputs, np.arange(len(inputs))], context.padded_size):
        values, _, _ = traced.run(_arrays, batch, rows_of(targets, rows), context=context)
        found.append([to_numpy(array)[:real] for array in values])
    return BoundTarget(targets.settled, [np.concatenate(parts) for parts in zip(*found)])


def _arrays(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """The arrays of the settled targets, as a function for `TracedModel.run`."""
    outputs = traced.outputs(inputs)
    return Attribution(targets.settle(traced.in_model_layout(outputs)), outputs)
