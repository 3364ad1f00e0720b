"""Integrated gradients: the gradient along the path from a baseline to the input."""

import functools
from typing import Annotated, Any

import numpy as np
from keras import ops

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.attribution import rows_of
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Gt
from keras_actmaps.core.traced_model import TracedModel, outputs_only
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.core.warn import warn_user
from keras_actmaps.methods._baselines import Baseline, Baselines, baseline_for, gain_over
from keras_actmaps.methods._sampling import chunk_size, per_sample, run_chunks
from keras_actmaps.methods.registry import Attribution, Method
from keras_actmaps.methods.saliency import saliency

MOST_STEPS = 4096  # limit of the steps if a tolerance is set
ROUNDING = 1e-6  # relative to the scores; smaller residuals are rounding errors of float32
Tolerance = Annotated[float, Gt(0)] | None


def integrated_gradients(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    baseline: Annotated[Baseline | Baselines, "start of the path: zero, mean, blur, a number or an image"] = "zero",
    steps: Annotated[Count, "nodes of the quadrature, forward and backward passes"] = 64,
    tolerance: Annotated[Tolerance, "largest residual, as a share of the score's difference from the baseline"] = None,
) -> Attribution:
    """S = (x - x0) sum_s w_s dY/dx (x0 + a_s (x - x0)) (Sundararajan et al. 2017, eq. 1).

    a_s and w_s are the nodes and weights of Gauss-Legendre quadrature. The map sums to Y(x) - Y(x0). With a tolerance,
    the path is cut into 2, 4, 8, ... equal pieces of `steps` nodes each until the residual is within this share of
    Y(x) - Y(x0), with a warning if 4096 steps are not enough.
    """
    start = baseline_for(inputs, baseline)
    attributions = integrate(traced, inputs, start, targets, steps, context)
    if tolerance is not None:
        _refine(traced, inputs, start, targets, steps, tolerance, attributions, context)
    return Attribution(attributions.astype("float32"))


def _validate(traced: TracedModel, inputs: Array, *, baseline: Any, **_: Any) -> None:
    baseline_for(inputs[:1], baseline)


def integrate(
    traced: TracedModel,
    inputs: Array,
    start: Array,
    targets: Any,
    steps: int,
    context: RunContext,
    pieces: int = 1,
    chosen: Array | None = None,
) -> Array:
    """(x - x0) times the mean gradient along the path of the chosen inputs, in `pieces` of `steps` nodes each.

    Every chunk has as many rows as there are inputs, so that one program serves any choice: each chosen input fills
    `copies` rows, which share its nodes; rows that are left have the weight 0.
    """
    chosen = np.arange(len(inputs)) if chosen is None else chosen
    copies, count = len(inputs) // len(chosen), len(chosen)
    nodes, weights = _quadrature(steps)
    samples = -(-steps * pieces // copies)
    positions, shares = np.zeros((2, (copies + 1) * samples), "float32")
    positions[: steps * pieces] = ((np.arange(pieces)[:, None] + nodes) / pieces).ravel()
    shares[: steps * pieces] = np.tile(weights / pieces, pieces)
    copy = np.minimum(np.arange(len(inputs)) // count, copies)
    which = np.resize(chosen, len(inputs))
    tables = [table.reshape(copies + 1, samples)[copy].T for table in (positions, shares)]
    gradients = np.zeros(inputs.shape)
    for _, part in run_chunks(
        traced,
        inputs[which],
        rows_of(targets, which),
        samples,
        lambda numbers: [table[numbers] for table in tables],
        _between,
        context,
        constants=(start[which],),
        function=saliency,
        reduce=_weighted_sum,
        size=chunk_size(steps, context.batch_size // len(inputs)),
    ):
        gradients += part
    summed = gradients[: copies * count].reshape(copies, count, *inputs.shape[1:]).sum(axis=0)
    return (inputs - start)[chosen] * summed


def _between(inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """x0 + a (x - x0) for each position a on the path."""
    (start,) = constants
    return start + per_sample(rows[0], inputs) * (inputs - start)


def _weighted_sum(values: Tensor, is_real: Tensor, inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """sum_s w_s g_s."""
    return ops.sum(per_sample(is_real[:, None] * rows[1], inputs) * values, axis=0)


def _refine(
    traced: TracedModel,
    inputs: Array,
    start: Array,
    targets: Any,
    steps: int,
    tolerance: float,
    attributions: Array,
    context: RunContext,
) -> None:
    """Cut the path into more pieces, for the inputs that need it, until the residual is within the tolerance."""
    scores, baseline_scores = (
        to_numpy(traced.run(outputs_only, np.ascontiguousarray(x), targets, context=context)[2]).astype("float64")
        for x in (inputs, start)
    )
    expected = scores - baseline_scores
    allowed = np.maximum(tolerance * np.abs(expected), ROUNDING * (np.abs(scores) + np.abs(baseline_scores)))
    pieces = 1
    while True:
        residual = np.abs(attributions.reshape(len(inputs), -1).sum(1) - expected)
        rest = np.flatnonzero(residual > allowed)
        if not rest.size:
            return
        if 2 * pieces * steps > MOST_STEPS:
            worst = rest[np.argmax(residual[rest] / allowed[rest])]
            warn_user(
                f"integrated_gradients: tolerance={tolerance} is not reached; after {pieces * steps} steps the "
                f"residual is {residual[worst]:.2g} of a difference of {expected[worst]:.2g}",
            )
            return
        pieces *= 2
        attributions[rest] = integrate(traced, inputs, start, targets, steps, context, pieces, rest)


@functools.lru_cache(maxsize=8)
def _quadrature(steps: int) -> tuple[Array, Array]:
    """Nodes between 0 and 1 and weights with sum 1 of Gauss-Legendre quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return (nodes + 1) / 2, weights / 2


METHOD = Method(
    name="integrated_gradients",
    function=integrated_gradients,
    multi_input=True,
    single_pass=False,
    reduction="sum",
    validate=_validate,
    total=gain_over("baseline"),
    needs=frozenset({"gradients"}),
    summary="The contribution of each pixel to the score, relative to a baseline",
    paper="Sundararajan et al. 2017, eq. 1",
    cost="`steps` forward and backward passes.",
    limitations="zero where the image equals the baseline, such as black pixels; images on the path are unrealistic.",
)
