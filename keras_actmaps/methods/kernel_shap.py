"""Kernel SHAP: Shapley values of segments, by regression."""

import math
from typing import Annotated, Any

import numpy as np

from keras_actmaps.core.attribution import rows_of
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Gt, PerAxis, Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.core.warn import warn_user
from keras_actmaps.methods._baselines import Fill, baseline_for, gain_over
from keras_actmaps.methods._segments import CELLS, Segments, coalition_scores, equal_counts, segment, spread
from keras_actmaps.methods.registry import Attribution, Method

BLOCK = 128  # coalitions after which the standard errors are computed
Tolerance = Annotated[
    Annotated[float, Gt(0)] | None, "largest standard error of a value, as a share of the range of the values"
]


def kernel_shap(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    samples: Annotated[Count, "coalitions, the same for all images; at most, if a tolerance is set"] = 1000,
    segments: Segments = "superpixels",
    cells: Annotated[PerAxis, CELLS] = 7,
    fill: Fill = "zero",
    tolerance: Tolerance = None,
    seed: Seed = 0,
) -> Attribution:
    """phi = argmin sum_z k(z) (Y(z) - Y(0) - phi.z)^2 (Lundberg and Lee 2017, theorem 2).

    Over coalitions z of the n segments, where sum phi = Y(1) - Y(0) and
    k(z) = (n - 1) / (C(n, |z|) |z| (n - |z|)). Exact where all 2^n coalitions fit in `samples`; otherwise z is drawn by
    k(z), each together with its complement (Covert and Lee 2021). Each value is distributed evenly over the pixels of
    its segment. With a tolerance, the coalitions of an image end when its values are as precise: see `standard_errors`.
    """
    labels = segment(inputs, segments, cells)
    _require_samples(samples, int(labels.max()) + 1)
    maps, counts = np.empty(labels.shape, "float32"), np.empty(len(inputs), int)
    for rows, count in equal_counts(labels):
        kept, importance = coalitions(count, samples, seed)
        sizes = np.stack([np.bincount(label.ravel(), minlength=count) for label in labels[rows]])
        if tolerance is None or len(kept) == 2**count:
            chosen = rows_of(targets, rows)
            scores = coalition_scores(traced, inputs[rows], chosen, kept, labels[rows], fill, context).T
            values = shapley_values(kept[2:], scores[2:] - scores[0], scores[1] - scores[0], importance).T
            counts[rows] = len(kept)
        else:
            arguments = ((inputs[[row]], rows_of(targets, [row]), labels[[row]]) for row in rows)
            found = [_until(tolerance, traced, *one, kept, fill, context) for one in arguments]
            values, counts[rows] = map(np.stack, zip(*found))
        maps[rows] = spread(values / sizes, labels[rows])
    if tolerance is not None:
        context.report_facts(samples=counts)
    return Attribution(maps)


def _until(
    tolerance: float,
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    labels: Array,
    kept: Array,
    fill: Any,
    context: RunContext,
) -> tuple[Array, int]:
    """The values (count,) of one image, and the fewest coalitions whose largest standard error is within the tolerance.

    The error is relative to the range of the values (Covert and Lee 2021, section 4.2), and is computed after every 128
    coalitions, once there are two for each segment.
    """
    scores = np.empty(0)
    for first in range(0, len(kept), BLOCK):
        block = kept[first : first + BLOCK]
        scores = np.append(scores, coalition_scores(traced, inputs, targets, block, labels, fill, context)[0])
        if len(scores) < min(2 * kept.shape[1], len(kept)):
            continue
        between, gains, whole = kept[2 : len(scores)], scores[2:] - scores[0], scores[1] - scores[0]
        values = shapley_values(between, gains[:, None], np.array([whole]), np.ones(len(between)))[:, 0]
        errors = standard_errors(between, gains - between @ values)
        if errors.max() <= tolerance * np.ptp(values):
            return values, len(scores)
    warn_user(f"kernel_shap: tolerance={tolerance} is not reached in {len(kept)} samples")
    return values, len(kept)


def standard_errors(kept: Array, residuals: Array) -> Array:
    """The standard errors (count,) of Shapley values from coalitions (M, count), pairs of complements, and residuals.

    Those of least squares whose errors are dependent within a pair (Liang and Zeger 1986), times M / (M - count + 1) in
    the variance, for as many parameters.
    """
    centered = kept - kept.mean(axis=1, keepdims=True)
    pairs = -(-len(kept) // 2)
    products = np.zeros((2 * pairs, kept.shape[1]))
    products[: len(kept)] = centered * residuals[:, None]
    projected = products.reshape(pairs, 2, -1).sum(axis=1) @ np.linalg.pinv(centered.T @ centered)
    freedom = max(len(kept) - kept.shape[1] + 1, 1)
    return np.sqrt((projected**2).sum(axis=0) * len(kept) / freedom)


def _validate(
    traced: TracedModel, inputs: Array, *, samples: int, segments: Any, cells: Any, fill: Any, **_: Any
) -> None:
    _require_samples(samples, int(segment(inputs[:1], segments, cells).max()) + 1)
    baseline_for(inputs[:1], fill)


def _require_samples(samples: int, count: int) -> None:
    """ValueError for fewer samples than the regression needs."""
    least = min(2 ** min(count, 63), count + 2)
    if samples < least:
        raise ValueError(f"samples={samples} are too few for {count} segments; pass {least} or more")


def coalitions(count: int, samples: int, seed: int) -> tuple[Array, Array]:
    """Coalitions (M, count), the empty and the full one first, and the regression weights of the others."""
    ends = np.repeat([[0], [1]], count, axis=1)
    if 2**count <= samples:
        numbers = np.arange(1, 2**count - 1)
        between = numbers[:, None] >> np.arange(count) & 1
        importance = [
            (count - 1) / (math.comb(count, size) * size * (count - size)) for size in between.sum(1).tolist()
        ]
        return np.concatenate([ends, between]), np.array(importance)
    random = np.random.default_rng(seed)
    sizes = np.arange(1, count)
    chances = 1 / (sizes * (count - sizes))
    drawn = random.choice(sizes, (samples - 1) // 2, p=chances / chances.sum())
    ranks = random.random((len(drawn), count)).argsort(axis=1)
    half = (ranks < drawn[:, None]).astype(int)
    between = np.stack([half, 1 - half], axis=1).reshape(-1, count)[: samples - 2]
    return np.concatenate([ends, between]), np.ones(len(between))


def shapley_values(kept: Array, gains: Array, whole: Array, importance: Array) -> Array:
    """The values (count, N) of least weighted squares that sum to `whole` (N,) and explain the gains (M, N) of `kept`.

    Each value is whole / count and a deviation; the deviations of least norm sum to 0, as the centered rows do.
    """
    count = kept.shape[1]
    rows = np.sqrt(importance)[:, None]
    even = kept.mean(axis=1, keepdims=True)
    return whole / count + np.linalg.lstsq(rows * (kept - even), rows * (gains - even * whole), rcond=None)[0]


METHOD = Method(
    name="kernel_shap",
    function=kernel_shap,
    single_pass=False,
    validate=_validate,
    total=gain_over("fill"),
    summary="The Shapley value of each segment, distributed evenly over its pixels",
    paper="Lundberg and Lee 2017, theorem 2",
    cost="`samples` forward passes, or 2^n if these are fewer; with a tolerance fewer.",
    limitations="evaluates partly hidden images, unlike training images; noisy if `samples` is small for n segments.",
)
