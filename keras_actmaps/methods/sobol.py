"""Sobol attribution: total Sobol indices of segments, by a quasi-random design of partly hidden images."""

from typing import Annotated, Any

import numpy as np
import scipy

from keras_actmaps.core.attribution import rows_of
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Ge, Le, PerAxis, Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods._baselines import Fill, baseline_for
from keras_actmaps.methods._segments import CELLS, Segments, coalition_scores, equal_counts, segment, spread
from keras_actmaps.methods.registry import Attribution, Method

ROUNDING = 1e-6  # relative to the scores; smaller differences of float32 scores are rounding errors
MOST_SEGMENTS = 21_201 // 2  # of SciPy's Sobol sequence; the sequence has two dimensions per segment


def sobol(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    designs: Annotated[int, Ge(2), Le(65_536), "rows of the design; a power of two fills the space best"] = 32,
    segments: Segments = "grid",
    cells: Annotated[PerAxis, CELLS] = 7,
    fill: Fill = "zero",
    seed: Seed = 0,
) -> Attribution:
    """S_i = sum_j (Y(A_j) - Y(A_j with column i of B))^2 / (2 designs Var Y) (Fel et al. 2021, eq. 6; Jansen 1999).

    A and B are the halves of a scrambled Sobol sequence in [0, 1]; a row says how much of each segment is kept. S_i is
    the share of the variance of Y that remains if all segments but the i-th are known; it is 0 where Y is constant.
    """
    labels = segment(inputs, segments, cells)
    maps = np.empty(labels.shape, "float32")
    for rows, count in equal_counts(labels):
        kept = replicated_design(count, designs, seed)
        chosen = rows_of(targets, rows)
        scores = coalition_scores(traced, inputs[rows], chosen, kept, labels[rows], fill, context)
        maps[rows] = spread(total_indices(scores, designs), labels[rows])
    return Attribution(maps)


def _validate(traced: TracedModel, inputs: Array, *, segments: Any, cells: Any, fill: Any, **_: Any) -> None:
    count = int(segment(inputs[:1], segments, cells).max()) + 1
    if count > MOST_SEGMENTS:
        raise ValueError(f"{count} segments are too many for a Sobol sequence; pass {MOST_SEGMENTS} or fewer")
    baseline_for(inputs[:1], fill)


def replicated_design(count: int, designs: int, seed: int) -> Array:
    """The rows of A, of B, and for each of `count` columns those of A with this column of B.

    float32 array of shape ((count + 2) * designs, count), in 0..1.
    """
    sequence = scipy.stats.qmc.Sobol(2 * count, seed=np.random.default_rng(seed))
    first, second = np.split(sequence.random_base2((designs - 1).bit_length())[:designs], 2, axis=1)
    mixed = np.where(np.eye(count, dtype=bool)[:, None], second, first)
    return np.concatenate([first, second, mixed.reshape(-1, count)]).astype("float32")


def total_indices(scores: Array, designs: int) -> Array:
    """Jansen's estimate (N, count) of the total indices from scores (N, (count + 2) * designs) of the design."""
    base, mixed = scores[:, : 2 * designs], scores[:, 2 * designs :].reshape(len(scores), -1, designs)
    variance = base.var(axis=1, ddof=1)[:, None]
    effects = ((base[:, None, :designs] - mixed) ** 2).mean(axis=2) / 2
    varies = variance > (ROUNDING * np.abs(base).max(axis=1, keepdims=True)) ** 2
    return np.divide(effects, variance, out=np.zeros_like(effects), where=varies)


METHOD = Method(
    name="sobol",
    function=sobol,
    single_pass=False,
    validate=_validate,
    summary="The share of the score's variance in which each segment takes part, interactions included",
    paper="Fel et al. 2021, eq. 6",
    cost="`designs` (n + 2) forward passes for n segments.",
    limitations="not signed: segments that raise the score and those that lower it look alike; noisy with few designs.",
)
