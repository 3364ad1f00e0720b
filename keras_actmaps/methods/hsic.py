"""HSIC attribution: the statistical dependence of the score on each segment being kept."""

from typing import Annotated, Any

import numpy as np
import scipy

from keras_actmaps.core.attribution import rows_of
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Ge, Le, PerAxis, Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods._baselines import Fill
from keras_actmaps.methods._segments import (
    CELLS,
    Segments,
    coalition_scores,
    equal_counts,
    segment,
    spread,
    validate_segments,
)
from keras_actmaps.methods.registry import Attribution, Method

ROUNDING = 1e-6  # relative to the scores


def hsic(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    samples: Annotated[int, Ge(2), Le(10_000), "random masks, the same for all images"] = 750,
    segments: Segments = "grid",
    cells: Annotated[PerAxis, CELLS] = 7,
    fill: Fill = "zero",
    seed: Seed = 0,
) -> Attribution:
    """H_i = tr(K_i C L C) / samples^2 (Novello et al. 2022, eq. 4), with C the centering matrix.

    K_i is 1 for two masks that treat segment i alike, else 0; L is a Gaussian kernel of the scores whose width is the
    median distance of two scores. The masks are a Latin hypercube, so that each segment is kept in half of them.
    """
    labels = segment(inputs, segments, cells)
    maps = np.empty(labels.shape, "float32")
    for rows, count in equal_counts(labels):
        cube = scipy.stats.qmc.LatinHypercube(count, seed=np.random.default_rng(seed)).random(samples)
        kept = (cube > 0.5).astype("float32")
        chosen = rows_of(targets, rows)
        scores = coalition_scores(traced, inputs[rows], chosen, kept, labels[rows], fill, context)
        values = np.stack([dependence(kept, row, median_distance(row)) for row in scores])
        maps[rows] = spread(values, labels[rows])
    return Attribution(maps)


def dependence(kept: Array, scores: Array, width: float) -> Array:
    """HSIC (count,) of each binary column of `kept` (samples, count) with scores (samples,); 0 for a width of 0.

    C K_i C = 2 c_i c_i' for the centered column c_i, so that no kernel of the masks is built.
    """
    if width == 0:
        return np.zeros(kept.shape[1])
    kernel = np.exp(-0.5 * ((scores[:, None] - scores) / width) ** 2)
    centered = kept - kept.mean(axis=0, dtype="float64")
    return 2 * (centered * (kernel @ centered)).sum(axis=0) / len(kept) ** 2


def median_distance(scores: Array) -> float:
    """The median distance of two different scores; 0 if it is within the rounding errors of float32."""
    distance = float(np.median(np.abs(scores[:, None] - scores)[np.triu_indices(len(scores), 1)]))
    return distance if distance > ROUNDING * np.abs(scores).max() else 0.0


METHOD = Method(
    name="hsic",
    function=hsic,
    single_pass=False,
    validate=validate_segments,
    summary="The dependence of the score on whether each segment is kept",
    paper="Novello et al. 2022, eq. 4",
    cost="`samples` forward passes.",
    limitations="not signed; ignores segments that matter only together with others.",
)
