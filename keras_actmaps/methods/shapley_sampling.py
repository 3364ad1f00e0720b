"""Shapley sampling: Shapley values of segments, by random orders in which they are added."""

import itertools
import math
from typing import Annotated, Any

import numpy as np

from keras_actmaps.core.attribution import rows_of
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, PerAxis, Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods._baselines import Fill, gain_over
from keras_actmaps.methods._masking import chunk_scores
from keras_actmaps.methods._segments import (
    CELLS,
    Segments,
    equal_counts,
    segment,
    segment_masks,
    spread,
    validate_segments,
)
from keras_actmaps.methods.registry import Attribution, Method


def shapley_sampling(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    permutations: Annotated[Count, "orders of the segments, the same for all images"] = 24,
    segments: Segments = "superpixels",
    cells: Annotated[PerAxis, CELLS] = 7,
    fill: Fill = "zero",
    seed: Seed = 0,
) -> Attribution:
    """phi_i = mean_p Y(those up to i in order p) - Y(those before i in order p) (Castro et al. 2009, eq. 2).

    The segments are added to the filled image in random orders p, each followed by its reverse (Mitchell et al. 2022),
    or in all n! orders, for exact values, if these are no more than `permutations`. The rises of each order telescope,
    so that the map sums to Y(x) - Y(filled) for any number of them. Each value is distributed evenly over the pixels of
    its segment.
    """
    labels = segment(inputs, segments, cells)
    maps = np.empty(labels.shape, "float32")
    for rows, count in equal_counts(labels):
        ranks = orders(count, permutations, seed)
        own = inputs[rows], rows_of(targets, rows), np.ascontiguousarray(labels[rows], "int32")
        values = _mean_rises(_scores(traced, *own, ranks, fill, context), ranks)
        sizes = np.stack([np.bincount(label.ravel(), minlength=count) for label in labels[rows]])
        maps[rows] = spread(values / sizes, labels[rows])
    return Attribution(maps)


def orders(count: int, permutations: int, seed: int) -> Array:
    """The rank (permutations, count) of each segment in each order."""
    if math.factorial(min(count, 10)) <= permutations:  # 10! is more than any number of them
        return np.array(list(itertools.permutations(range(count))))
    half = np.tile(np.arange(count), (-(-permutations // 2), 1))
    ranks = np.random.default_rng(seed).permuted(half, axis=1)
    return np.stack([ranks, count - 1 - ranks], axis=1).reshape(-1, count)[:permutations]


def _scores(
    traced: TracedModel, inputs: Array, targets: Any, labels: Array, ranks: Array, fill: Any, context: RunContext
) -> Array:
    """The scores (N, permutations, count + 1) with the first 0, 1, ... segments of each order.

    The first and the last are the same for all orders, and computed once.
    """
    permutations, count = ranks.shape
    order = np.concatenate([[0, 0], np.repeat(np.arange(permutations), count - 1)])
    added = np.concatenate([[0, count], np.tile(np.arange(1, count), permutations)])

    def rows(numbers: Array) -> list:
        return [(ranks[order[numbers]] < added[numbers][:, None]).astype("float32")]

    scores = chunk_scores(traced, inputs, targets, len(order), rows, segment_masks, (labels,), fill, context)
    ends = np.repeat(scores[:, None, :2], permutations, axis=1)
    return np.concatenate([ends[..., :1], scores[:, 2:].reshape(-1, permutations, count - 1), ends[..., 1:]], axis=2)


def _mean_rises(scores: Array, ranks: Array) -> Array:
    """The values (N, count): the mean rise of the score at the rank of each segment."""
    return np.take_along_axis(np.diff(scores, axis=2), ranks[None], axis=2).mean(axis=1)


METHOD = Method(
    name="shapley_sampling",
    function=shapley_sampling,
    single_pass=False,
    validate=validate_segments,
    total=gain_over("fill"),
    summary="The Shapley value of each segment, distributed evenly over its pixels, by random orders",
    paper="Castro et al. 2009, eq. 2",
    cost="`permutations` (n - 1) + 2 forward passes for n segments.",
    limitations="evaluates partly hidden images, unlike training images; noisy if `permutations` are few.",
)
