"""IDGI: the rise of the score over each step of a path, along the direction of its gradient only."""

from typing import Annotated, Any

import numpy as np
from keras import ops

from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._baselines import PathStart, baseline_for, gain_over, validate_baseline
from keras_actmaps.methods._paths import between
from keras_actmaps.methods._sampling import per_sample, run_chunks
from keras_actmaps.methods.registry import Attribution, Method


def idgi(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    baseline: PathStart = "zero",
    steps: Annotated[Count, "equal steps of the path"] = 64,
) -> Attribution:
    """S = sum_j (Y(x_j+1) - Y(x_j)) g_j^2 / |g_j|^2, g_j = dY/dx (x_j) (Yang et al. 2023, algorithm 1).

    x_j are equally spaced points of the straight path from the baseline to the input. Of each step, only the part in
    the direction of the gradient moves the score; the step's rise of the score is distributed by it. The rises
    telescope, so that the map sums to Y(x) - Y(x0) for any number of steps. The rise of a step at whose start the
    gradient is zero is distributed to no pixel, and is what the residual lacks.
    """
    positions = np.linspace(0, 1, steps + 1, dtype="float32")
    total, last = np.zeros(inputs.shape), None
    for _, chunk in run_chunks(
        traced,
        inputs,
        targets,
        len(positions),
        lambda numbers: [positions[numbers]],
        between,
        context,
        constants=(baseline_for(inputs, baseline),),
        function=_gradients_and_scores,
        reduce=_distributed,
    ):
        part, shares, first_scores, last_scores = chunk
        if last is not None:
            total += (first_scores - last[1]).reshape(-1, *[1] * (inputs.ndim - 1)) * last[0]
        total, last = total + part, (shares, last_scores)
    return Attribution(total.astype("float32"))


def _gradients_and_scores(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """The gradients (N, ..., C) and the scores (N,) of the same pass."""
    gradients, outputs = traced.gradients(inputs, targets)
    return Attribution((gradients, traced.score(outputs, targets)), outputs)


def _distributed(values: tuple, is_real: Tensor, inputs: Tensor, rows: Any, constants: Any) -> tuple[Tensor, ...]:
    """The distributed rises within a chunk; the shares of the step after it; the scores at its first and last point.

    Points that fill a chunk are copies of the last one, from which the score does not rise.
    """
    gradients, scores = values
    rises = ops.concatenate([scores[1:] - scores[:-1], ops.zeros_like(scores[:1])])
    shares = _shares(gradients)
    return ops.sum(per_sample(rises, inputs) * shares, axis=0), shares[-1], scores[0], scores[-1]


def _shares(gradients: Tensor) -> Tensor:
    """g^2 / |g|^2 of gradients (s, N, ...), which sum to 1; zero where g is. Scaled, as squares of floats underflow."""
    axes = tuple(range(2, len(gradients.shape)))
    largest = ops.max(ops.abs(gradients), axis=axes, keepdims=True)
    squares = (gradients / ops.where(largest > 0, largest, ops.ones_like(largest))) ** 2
    return squares / ops.maximum(ops.sum(squares, axis=axes, keepdims=True), 1)  # at least 1 where g is not zero


METHOD = Method(
    name="idgi",
    function=idgi,
    multi_input=True,
    single_pass=False,
    reduction="sum",
    validate=validate_baseline,
    total=gain_over("baseline"),
    needs=frozenset({"gradients"}),
    summary="The contribution of each pixel to the score, relative to a baseline, without the noise of the path",
    paper="Yang et al. 2023, algorithm 1",
    cost="`steps` + 1 forward and backward passes.",
    limitations="not zero where the image equals the baseline; the sign is that of the step's rise, for all pixels.",
)
