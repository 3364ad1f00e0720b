"""Kernel SHAP: Shapley values of segments, by regression."""

import math
from typing import Annotated, Any

import numpy as np

from keras_actmaps.core.attribution import rows_of
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, PerAxis, Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods._baselines import Fill, baseline_for, gain_over
from keras_actmaps.methods._segments import CELLS, Segments, coalition_scores, equal_counts, segment, spread
from keras_actmaps.methods.registry import Attribution, Method


def kernel_shap(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    samples: Annotated[Count, "coalitions, the same for all images"] = 1000,
    segments: Segments = "superpixels",
    cells: Annotated[PerAxis, CELLS] = 7,
    fill: Fill = "zero",
    seed: Seed = 0,
) -> Attribution:
    """phi = argmin sum_z k(z) (Y(z) - Y(0) - phi.z)^2 (Lundberg and Lee 2017, theorem 2).

    Over coalitions z of the n segments, where sum phi = Y(1) - Y(0) and
    k(z) = (n - 1) / (C(n, |z|) |z| (n - |z|)). Exact where all 2^n coalitions fit in `samples`; otherwise z is drawn by
    k(z), each together with its complement. Each value is distributed evenly over the pixels of its segment.
    """
    labels = segment(inputs, segments, cells)
    _require_samples(samples, int(labels.max()) + 1)
    maps = np.empty(labels.shape, "float32")
    for rows, count in equal_counts(labels):
        kept, importance = coalitions(count, samples, seed)
        chosen = rows_of(targets, rows)
        scores = coalition_scores(traced, inputs[rows], chosen, kept, labels[rows], fill, context).T
        values = shapley_values(kept[2:], scores[2:] - scores[0], scores[1] - scores[0], importance)
        sizes = np.stack([np.bincount(label.ravel(), minlength=count) for label in labels[rows]])
        maps[rows] = spread(values.T / sizes, labels[rows])
    return Attribution(maps)


def _validate(
    traced: TracedModel, inputs: Array, *, samples: int, segments: Any, cells: Any, fill: Any, seed: int
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
    cost="`samples` forward passes, or 2^n if these are fewer.",
    limitations="evaluates partly hidden images, unlike training images; noisy if `samples` is small for n segments.",
)
