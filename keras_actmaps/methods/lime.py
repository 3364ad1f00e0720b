"""LIME: the weights of a local linear model of the score."""

from typing import Annotated, Any

import numpy as np

from keras_actmaps.core.attribution import rows_of
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Ge, Gt, PerAxis, Seed
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


def lime(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    samples: Annotated[Count, "coalitions, the same for all images"] = 1000,
    segments: Segments = "superpixels",
    cells: Annotated[PerAxis, CELLS] = 7,
    width: Annotated[float, Gt(0), "width of the neighborhood, in cosine distance"] = 0.25,
    ridge: Annotated[float, Ge(0), "weight of the squared penalty"] = 1.0,
    fill: Fill = "zero",
    seed: Seed = 0,
) -> Attribution:
    """w = argmin sum_z exp(-d(z)^2 / width^2) (Y(z) - w_0 - w.z)^2 + ridge |w|^2 (Ribeiro et al. 2016, eq. 1).

    Over random z in {0, 1}^segments, with d(z) the cosine distance of z from all ones; the first z is all ones.
    """
    labels = segment(inputs, segments, cells)
    maps = np.empty(labels.shape, "float32")
    for rows, count in equal_counts(labels):
        kept = np.random.default_rng(seed).integers(0, 2, (samples, count))
        kept[0] = 1
        chosen = rows_of(targets, rows)
        scores = coalition_scores(traced, inputs[rows], chosen, kept, labels[rows], fill, context)
        distances = 1 - np.sqrt(kept.mean(axis=1))
        weights = linear_weights(kept, scores.T, np.exp(-((distances / width) ** 2)), ridge)
        maps[rows] = spread(weights.T, labels[rows])
    return Attribution(maps)


def linear_weights(features: Array, outputs: Array, importance: Array, ridge: float) -> Array:
    """The weights (F, N) of the ridge regression, with a free intercept, of outputs (M, N) on features (M, F)."""
    share = (importance / importance.sum())[:, None]
    rows = np.sqrt(importance)[:, None]
    features, outputs = (rows * (table - (share * table).sum(0)) for table in (features, outputs))
    features = np.concatenate([features, np.sqrt(ridge) * np.eye(features.shape[1])])
    outputs = np.concatenate([outputs, np.zeros((features.shape[1], outputs.shape[1]))])
    return np.linalg.lstsq(features, outputs, rcond=None)[0]


METHOD = Method(
    name="lime",
    function=lime,
    single_pass=False,
    validate=validate_segments,
    summary="The weight of each segment in a linear model of the score, fitted around the image",
    paper="Ribeiro et al. 2016, eq. 1",
    cost="`samples` forward passes.",
    limitations="ignores interactions of segments; depends on the segments, the width and the fill.",
)
