"""Kernel SHAP: Shapley values of segments, by regression."""

import math

import numpy as np

from keras_actmaps.methods.baselines import baseline_for, gain_over
from keras_actmaps.methods.kinds import check_count, check_seed, many_passes, sums_to
from keras_actmaps.methods.segments import coalition_scores, segmented, spread


def _check(probe, images, *, samples, segments, cells, fill, seed):
    check_count("samples", samples)
    check_seed(seed)
    count = segmented(images[:1], segments, cells)[0].max() + 1
    if samples < min(2**count, count + 2):
        raise ValueError(f"samples={samples} are too few for {count} segments; give {min(2**count, count + 2)} or more")
    baseline_for(images[:1], fill)


@sums_to(gain_over("fill"))
@many_passes(_check)
def kernel_shap(probe, images, targets, *, samples=1000, segments="superpixels", cells=7, fill="zero", seed=0):
    """The Shapley value of each segment, spread evenly over its pixels (Lundberg & Lee 2017, theorem 2).

    phi = argmin sum_z k(z) (Y(z) - Y(0) - phi.z)^2 over coalitions z of the n segments, where sum phi = Y(1) - Y(0) and
    k(z) = (n - 1) / (C(n, |z|) |z| (n - |z|)). Exact where all 2^n coalitions fit in `samples`; otherwise z is drawn
    by k(z), each together with its complement. images (N,H,W,C) -> (N,H,W).

    segments, cells: see `segmented`. fill: what hides a segment, as the baseline of `baseline_for`. All images get
    the same coalitions.
    Cost: `samples` forward passes, or 2^n if these are fewer.
    Fails: judges images with holes, which the model has never seen; is noisy where n is large for `samples`.
    """
    labels = segmented(images, segments, cells)
    kept, importance = coalitions(int(labels[0].max()) + 1, samples, seed)
    scores = coalition_scores(probe, images, targets, kept, labels, fill).T
    values = shapley_values(kept[2:], scores[2:] - scores[0], scores[1] - scores[0], importance)
    sizes = np.stack([np.bincount(label.ravel()) for label in labels])
    return spread(values.T / sizes, labels)


def coalitions(count: int, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """None, all, then the coalitions between (M, count), and the weights of the latter in the regression."""
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


def shapley_values(kept: np.ndarray, gains: np.ndarray, whole: np.ndarray, importance: np.ndarray) -> np.ndarray:
    """The values (count, N) of least weighted squares that sum to `whole` (N,) and explain the gains (M, N) of `kept`.

    Each value is whole / count and a deviation; the deviations of least norm sum to 0, as the centred rows do.
    """
    count = kept.shape[1]
    rows = np.sqrt(importance)[:, None]
    even = kept.mean(axis=1, keepdims=True)
    return whole / count + np.linalg.lstsq(rows * (kept - even), rows * (gains - even * whole), rcond=None)[0]
