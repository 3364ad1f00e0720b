"""Sums of a map beside what the score loses: sensitivity-n, infidelity, the gap to completeness."""

import numpy as np

from keras_actmaps.methods._masking import masked_scores, per_axis
from keras_actmaps.methods.registry import check_count, check_seed
from keras_actmaps.metrics.patches import patches_of, sums_over
from keras_actmaps.metrics.registry import check_score, higher_is_better, lower_is_better, question, scored


@higher_is_better
def sensitivity_n(
    model, images, explanation, *, n=None, samples=100, patch=1, fill="zero", score="logit", targets=None, seed=0,
    batch_size=32,
):  # fmt: skip
    """How well sums of a map tell what the score loses without n patches (Ancona et al. 2018, section 4): (N,).

    corr_S(sum_i in S R_i, Y(x) - Y(x without S)) over random sets S of n patches, from -1 to 1; 0 where either is
    constant. In the paper Y is the score before the softmax and n runs from 1 to most of the image.

    n: None = a tenth of the patches. samples, patch, fill, score, targets, seed, batch_size: see `metrics`.
    Cost: samples + 1 forward passes an image.
    Fails: where n is large, all sets are much alike, and few samples say little.
    """
    check_score(score)
    check_seed(seed)
    check_count("samples", samples)
    probe, images, maps, targets = question(model, images, explanation, targets, batch_size)
    patches = patches_of(maps.shape[1:], patch)
    count = int(patches.max()) + 1
    n = max(1, count // 10) if n is None else n
    check_count("n", n)
    if n > count:
        raise ValueError(f"n={n} are more than the {count} patches")
    hidden = np.random.default_rng(seed).random((samples, count)).argsort(axis=1) < n
    losses = _losses(probe, images, targets, hidden[:, patches], fill, score)
    return correlation(sums_over(maps, patches) @ hidden.T, losses)


@lower_is_better
def infidelity(
    model, images, explanation, *, samples=100, patch=None, scaled=True, fill="zero", score="logit", targets=None,
    seed=0, batch_size=32,
):  # fmt: skip
    """The squared error of a map's sums as what the score loses without a patch (Yeh et al. 2019, eq. 1): (N,).

    E_I (b I.R - (Y(x) - Y(x without I)))^2, I a patch at a random place. The map is taken as what each place adds to
    the score, as I.R is 1.R where I is x - fill and the map is one times x - fill.

    patch: its side; None = an eighth of each side, one feature of a table. scaled: True takes the number b that suits
    the map best, b = E[I.R (Y - Y_I)] / E[(I.R)^2], as the authors' code does, since maps such as Grad-CAM's have no
    scale; a map of 0 has b = 0. False is the paper's equation, b = 1.
    samples, fill, score, targets, seed, batch_size: see `metrics`.
    Cost: samples + 1 forward passes an image.
    Fails: is in squared scores, so that images with high scores outweigh the others.
    """
    check_score(score)
    check_seed(seed)
    check_count("samples", samples)
    probe, images, maps, targets = question(model, images, explanation, targets, batch_size)
    hidden = random_patches(maps.shape[1:], patch, samples, seed)
    losses = _losses(probe, images, targets, hidden, fill, score)
    sums = maps.reshape(len(maps), -1) @ hidden.reshape(samples, -1).T
    if scaled:
        squares = (sums**2).mean(axis=1, keepdims=True)
        sums *= (sums * losses).mean(axis=1, keepdims=True) / np.where(squares > 0, squares, 1)
    return ((sums - losses) ** 2).mean(axis=1)


@lower_is_better
def completeness_gap(model, images, explanation, *, fill="zero", score="logit", targets=None, batch_size=32):
    """How far a map is from summing to what it explains (the axiom of Sundararajan et al. 2017, section 3): (N,).

    |sum_i R_i - (Y(x) - Y(fill))|, in units of the score. The fill should be the baseline of the method; None is for
    methods without one, such as LRP, whose maps sum to the score itself.

    fill, score, targets, batch_size: see `metrics`.
    Cost: 2 forward passes an image.
    """
    check_score(score)
    probe, images, maps, targets = question(model, images, explanation, targets, batch_size)

    def masks(_, sample):
        return np.broadcast_to((sample == 0).reshape(-1, *(1,) * (maps.ndim - 1)), (len(sample), *maps.shape[1:]))

    scores = masked_scores(probe, images, targets, 1 if fill is None else 2, masks, fill or "zero", scored, score=score)
    expected = scores[:, 0] - (0 if fill is None else scores[:, 1])
    return np.abs(maps.reshape(len(maps), -1).sum(axis=1) - expected)


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's, of each row (N, M) with the other's: (N,); 0 where one of them is constant, up to rounding."""
    rows = [one - one.mean(axis=1, keepdims=True) for one in (first, second)]
    norms = [np.linalg.norm(row, axis=1) for row in rows]
    noise = [1e-6 * np.linalg.norm(one, axis=1) for one in (first, second)]
    varied = (norms[0] > noise[0]) & (norms[1] > noise[1])
    return np.where(varied, (rows[0] * rows[1]).sum(axis=1) / np.where(varied, norms[0] * norms[1], 1), 0)


def random_patches(space: tuple[int, ...], patch, samples: int, seed: int) -> np.ndarray:
    """(samples, H, W): True in a patch at a random place inside the image; ValueError for one larger than it."""
    default = tuple(1 if len(space) == 1 else max(1, side // 8) for side in space)
    sides = default if patch is None else per_axis("patch", patch, space)
    if any(side > whole for side, whole in zip(sides, space)):
        raise ValueError(f"patch={patch} is larger than the image, which is {space}")
    free = [whole - side + 1 for whole, side in zip(space, sides)]
    inside = np.ones((samples, *space), bool)
    for axis, first in enumerate(np.random.default_rng(seed).integers(0, free, (samples, len(space))).T, start=1):
        places = np.arange(space[axis - 1]) - first[:, None]
        shape = [1 if other not in (0, axis) else size for other, size in enumerate(inside.shape)]
        inside &= ((places >= 0) & (places < sides[axis - 1])).reshape(shape)
    return inside


def _losses(probe, images, targets, hidden: np.ndarray, fill, score) -> np.ndarray:
    """What the scores lose (N, samples) without the places that are hidden (samples, H, W)."""
    kept = ~np.concatenate([np.zeros_like(hidden[:1]), hidden])
    scores = masked_scores(probe, images, targets, len(kept), lambda _, sample: kept[sample], fill, scored, score=score)
    return scores[:, :1] - scores[:, 1:]
