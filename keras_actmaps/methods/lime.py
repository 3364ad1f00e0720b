"""LIME: the weights of a linear model of the score, near the image."""

import numbers

import numpy as np

from keras_actmaps.methods.baselines import baseline_for
from keras_actmaps.methods.kinds import check_count, check_seed, many_passes
from keras_actmaps.methods.segments import coalition_scores, segmented, spread


def _check(probe, images, *, samples, segments, cells, width, ridge, fill, seed):
    check_count("samples", samples)
    check_seed(seed)
    if not isinstance(width, numbers.Real) or not width > 0:
        raise ValueError(f"width={width!r} is no width of a neighbourhood; give a number above 0")
    if not isinstance(ridge, numbers.Real) or not ridge >= 0:
        raise ValueError(f"ridge={ridge!r} is no weight of a penalty; give 0 or more")
    segmented(images[:1], segments, cells)
    baseline_for(images[:1], fill)


@many_passes(_check)
def lime(
    probe, images, targets, *, samples=1000, segments="superpixels", cells=7, width=0.25, ridge=1.0, fill="zero", seed=0
):
    """The weight of each segment in a linear model of the score, fitted near the image (Ribeiro et al. 2016, eq. 1).

    w = argmin sum_z exp(-d(z)^2 / width^2) (Y(z) - w_0 - w.z)^2 + ridge |w|^2 over random z in {0, 1}^segments, d(z)
    the cosine distance of z from all ones; the first z is all ones. images (N,H,W,C) -> (N,H,W).

    segments, cells: see `segmented`. fill: what hides a segment, as the baseline of `baseline_for`. All images get
    the same z.
    Cost: `samples` forward passes.
    Fails: interactions of segments are averaged away; the map hangs on the segments, the width and the fill.
    """
    labels = segmented(images, segments, cells)
    count = labels[0].max() + 1
    kept = np.random.default_rng(seed).integers(0, 2, (samples, count))
    kept[0] = 1
    scores = coalition_scores(probe, images, targets, kept, labels, fill)
    distances = 1 - np.sqrt(kept.mean(axis=1))
    return spread(linear_weights(kept, scores.T, np.exp(-((distances / width) ** 2)), ridge).T, labels)


def linear_weights(inputs: np.ndarray, outputs: np.ndarray, importance: np.ndarray, ridge: float) -> np.ndarray:
    """The weights (F, N) of the ridge regression, with a free intercept, of outputs (M, N) on inputs (M, F)."""
    share = (importance / importance.sum())[:, None]
    rows = np.sqrt(importance)[:, None]
    inputs, outputs = (rows * (table - (share * table).sum(0)) for table in (inputs, outputs))
    inputs = np.concatenate([inputs, np.sqrt(ridge) * np.eye(inputs.shape[1])])
    outputs = np.concatenate([outputs, np.zeros((inputs.shape[1], outputs.shape[1]))])
    return np.linalg.lstsq(inputs, outputs, rcond=None)[0]
