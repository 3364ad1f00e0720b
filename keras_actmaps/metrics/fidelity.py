"""Fidelity: the correlation of a map with the effects of hiding large random sets of patches."""

from typing import Annotated, Any, Literal

import numpy as np
import scipy

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.settings import Gt, Le, Seed
from keras_actmaps.core.types import Array
from keras_actmaps.methods._baselines import Fill
from keras_actmaps.metrics._inputs import validate_inputs
from keras_actmaps.metrics._losses import losses_without
from keras_actmaps.metrics._patches import patch_labels, patch_sums, random_sets
from keras_actmaps.metrics._ranks import correlation
from keras_actmaps.metrics.registry import BatchSize, Metric, Patch, Samples, Score, validated

GRID = 9  # patches along each axis, as in xplique
DIGITS = 6  # of values that are ranked, relative to the largest


@validated
def mu_fidelity(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    share: Annotated[float, Gt(0), Le(1), "share of the patches in a set"] = 0.2,
    samples: Samples = 200,
    patch: Annotated[Patch | None, "side of the patches, or one per axis; None is a ninth of each side"] = None,
    statistic: Annotated[Literal["spearman", "pearson"], "correlation of the ranks or of the values"] = "spearman",
    fill: Fill = "zero",
    score: Score = "logit",
    targets: Any = None,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
) -> Array:
    """Correlation of a map's sums over random sets of patches with the drops in score without them, in [-1, 1].

    corr_S(sum_i in S R_i, Y(x) - Y(x without S)) over random sets S of one size (Bhatt et al. 2020, who call it
    faithfulness); 0 where either is constant. With statistic="pearson", as in the paper, it is `sensitivity_n`;
    the ranks, as in xplique, do not depend on the scale of the map.

    Parameters
    ----------
    share : float
        Share of the patches in a set, above 0 and at most 1; at least one patch.
    patch : int, tuple of int or None
        Side of the patches, or (height, width); None is a ninth of each side, rounded up.
    statistic : {"spearman", "pearson"}
        Correlation of the ranks, with ties at their mean, or of the values.
    model, images, explanation, samples, fill, score, targets, seed, batch_size
        See `keras_actmaps.metrics`.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        For a patch that does not fit the images, and for settings and inputs that do not fit.

    Notes
    -----
    `samples` + 1 forward passes per image. Large sets are similar to each other, and their images unlike those that the
    model was trained on.
    """
    inputs = validate_inputs(model, images, explanation, targets, batch_size)
    space = inputs.maps.shape[1:]
    labels = patch_labels(space, tuple(-(-side // GRID) for side in space) if patch is None else patch)
    count = int(labels.max()) + 1
    hidden = random_sets(count, max(1, round(share * count)), samples, seed)
    pairs = patch_sums(inputs.maps, labels) @ hidden.T, losses_without(inputs, hidden[:, labels], fill, score)
    if statistic == "pearson":
        return correlation(*pairs)
    return correlation(*(_ranks(values) for values in pairs))


def _ranks(values: Array) -> Array:
    """Ranks of the rows (N, M); values that differ only by rounding are tied."""
    scale = np.abs(values).max(axis=1, keepdims=True)
    rounded = np.round(values / np.where(scale > 0, scale, 1), DIGITS)
    return scipy.stats.rankdata(rounded, axis=1)


RECORDS = (
    Metric(
        name="mu_fidelity",
        function=mu_fidelity,
        better="higher",
        requires=frozenset({"model"}),
        summary="Rank correlation of a map's sums over random sets of patches with the drops in score without them",
        paper="Bhatt et al. 2020",
        cost="`samples` + 1 forward passes.",
        limitations="large sets are similar to each other, and hide much of the image.",
    ),
)
