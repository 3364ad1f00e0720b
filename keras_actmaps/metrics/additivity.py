"""Additivity: sums of a map compared with the drop in score: sensitivity-n, infidelity, completeness gap."""

from typing import Annotated, Any

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.settings import Count, Seed
from keras_actmaps.core.types import Array
from keras_actmaps.methods._baselines import Baseline, Fill
from keras_actmaps.methods._masking import masked_scores
from keras_actmaps.metrics._inputs import target_scores, validate_inputs
from keras_actmaps.metrics._losses import losses_without
from keras_actmaps.metrics._patches import patch_labels, patch_sums, random_patches, random_sets
from keras_actmaps.metrics._ranks import correlation
from keras_actmaps.metrics.registry import BatchSize, Metric, Patch, Samples, Score, validated


@validated
def sensitivity_n(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    n: Annotated[Count | None, "patches in a set; None is a tenth of them"] = None,
    samples: Samples = 100,
    patch: Patch = 1,
    fill: Fill = "zero",
    score: Score = "logit",
    targets: Any = None,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
) -> Array:
    """Correlation of a map's sums over random sets of n patches with the drops in score without them, in [-1, 1].

    corr_S(sum_i in S R_i, Y(x) - Y(x without S)) over random sets S of n patches (Ancona et al. 2018, section 4); 0
    where either is constant. In the paper Y is the score before the softmax and n runs from 1 to most of the image.

    Parameters
    ----------
    n : int or None
        Patches in a set; None is a tenth of them.
    model, images, explanation, samples, patch, fill, score, targets, seed, batch_size
        See `keras_actmaps.metrics`.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        For an `n` above the number of patches, and for settings and inputs that do not fit.

    Notes
    -----
    `samples` + 1 forward passes per image. For large n all sets are similar, and many samples are needed.
    """
    inputs = validate_inputs(model, images, explanation, targets, batch_size)
    labels = patch_labels(inputs.maps.shape[1:], patch)
    count = int(labels.max()) + 1
    n = max(1, count // 10) if n is None else n
    if n > count:
        raise ValueError(f"n must be at most {count}, the number of patches, got {n}")
    hidden = random_sets(count, n, samples, seed)
    losses = losses_without(inputs, hidden[:, labels], fill, score)
    return correlation(patch_sums(inputs.maps, labels) @ hidden.T, losses)


@validated
def infidelity(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    samples: Samples = 100,
    patch: Annotated[Patch | None, "side of the hidden patch, or one per axis; None is an eighth of each side"] = None,
    scaled: Annotated[bool, "multiply each map by the factor that fits best; False is the paper's equation"] = True,
    fill: Fill = "zero",
    score: Score = "logit",
    targets: Any = None,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
) -> Array:
    """Squared error of a map's sum over a random patch as a prediction of the drop in score without it.

    E_I (b I.R - (Y(x) - Y(x without I)))^2, with I a patch at a random position (Yeh et al. 2019, eq. 1). The map is
    interpreted as the contribution of each pixel to the score, that is, as already multiplied by the perturbation
    x - fill.

    Parameters
    ----------
    patch : int, tuple of int or None
        Side of the patch, or one per axis; None is an eighth of each side, and one feature of a table.
    scaled : bool
        True scales each map by the factor b that fits best, b = E[I.R (Y - Y_I)] / E[(I.R)^2], as in the authors' code,
        because maps such as Grad-CAM's have no scale; a map of zeros has b = 0. False is the paper's equation, b = 1.
    model, images, explanation, samples, fill, score, targets, seed, batch_size
        See `keras_actmaps.metrics`.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        For a patch that is larger than the image, and for settings and inputs that do not fit.

    Notes
    -----
    `samples` + 1 forward passes per image. The unit is a squared score, so images with high scores outweigh the others.
    """
    inputs = validate_inputs(model, images, explanation, targets, batch_size)
    hidden = random_patches(inputs.maps.shape[1:], patch, samples, seed)
    losses = losses_without(inputs, hidden, fill, score)
    sums = inputs.maps.reshape(len(inputs.maps), -1) @ hidden.reshape(samples, -1).T
    if scaled:
        squares = (sums**2).mean(axis=1, keepdims=True)
        sums *= (sums * losses).mean(axis=1, keepdims=True) / np.where(squares > 0, squares, 1)
    return ((sums - losses) ** 2).mean(axis=1)


@validated
def completeness_gap(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    fill: Annotated[Baseline | None, "the method's baseline; None for methods without one"] = "zero",
    score: Score = "logit",
    targets: Any = None,
    batch_size: BatchSize = 32,
) -> Array:
    """Difference between the sum of a map and the score that it explains, in units of the score.

    |sum_i R_i - (Y(x) - Y(fill))| (the axiom of Sundararajan et al. 2017, section 3).

    Parameters
    ----------
    fill : {"zero", "mean", "blur"}, float, array or None
        Should be the baseline of the method; None is for methods without one, such as LRP, whose maps sum to the score
        itself.
    model, images, explanation, score, targets, batch_size
        See `keras_actmaps.metrics`.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        For settings and inputs that do not fit.

    Notes
    -----
    2 forward passes per image, 1 without a fill.
    """
    traced, images, maps, targets, context = validate_inputs(model, images, explanation, targets, batch_size)

    def masks(_: Array, sample: Array) -> Array:
        whole = (sample == 0).reshape(-1, *(1,) * (maps.ndim - 1))
        return np.broadcast_to(whole, (len(sample), *maps.shape[1:]))

    count, hidden = (1, "zero") if fill is None else (2, fill)
    scores = masked_scores(traced, images, targets, count, masks, hidden, context, target_scores, score=score)
    expected = scores[:, 0] - (0 if fill is None else scores[:, 1])
    return np.abs(maps.reshape(len(maps), -1).sum(axis=1) - expected)


RECORDS = (
    Metric(
        name="sensitivity_n",
        function=sensitivity_n,
        better="higher",
        requires=frozenset({"model"}),
        summary="Correlation of a map's sums over random sets of patches with the drops in score without them",
        paper="Ancona et al. 2018, section 4",
        cost="`samples` + 1 forward passes.",
        limitations="large sets are similar to each other, so many samples are needed.",
    ),
    Metric(
        name="infidelity",
        function=infidelity,
        better="lower",
        requires=frozenset({"model"}),
        summary="Squared error of a map's sums over patches as predictions of the drops in score without them",
        paper="Yeh et al. 2019, eq. 1",
        cost="`samples` + 1 forward passes.",
        limitations="the unit is a squared score, so images with high scores outweigh the others.",
    ),
    Metric(
        name="completeness_gap",
        function=completeness_gap,
        better="lower",
        requires=frozenset({"model"}),
        summary="Difference between the sum of a map and the score that it explains",
        paper="Sundararajan et al. 2017, section 3",
        cost="2 forward passes.",
        limitations="a map with the correct sum may attribute it to the wrong pixels.",
    ),
)
