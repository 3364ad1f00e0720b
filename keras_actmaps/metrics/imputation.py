"""ROAD: the score as the most important pixels are replaced by what their neighbours tell of them."""

import numbers

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.methods.registry import check_seed, sampled
from keras_actmaps.metrics.patches import ranked
from keras_actmaps.metrics.registry import check_score, lower_is_better, question, scored

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
EXACT = 1e-5  # the residual at which the linear system counts as solved, in those of the start


@lower_is_better
def road(
    model, images, explanation, *, shares=SHARES, noise=0.01, score="softmax", targets=None, seed=0, batch_size=32
):  # fmt: skip
    """The mean score as the most important pixels are removed and debiased (Rong et al. 2022, "ROAD", MoRF): (N,).

    mean_s Y(x with the share s of the pixels imputed), see `road_curve`. The paper gives, for each share, the accuracy
    over the images, and also removes the least important first: give the explanation with its maps negated.

    Cost: a forward pass, and the solution of a linear system, for each share and image.
    """
    return road_curve(model, images, explanation, shares=shares, noise=noise, score=score, targets=targets, seed=seed,
                      batch_size=batch_size).mean(axis=1)  # fmt: skip


def road_curve(
    model, images, explanation, *, shares=SHARES, noise=0.01, score="softmax", targets=None, seed=0, batch_size=32
):  # fmt: skip
    """The scores (N, shares) after the removal of these shares of the pixels (N,H,W,C), the most important first.

    Noisy linear imputation (Rong et al. 2022, section 4.2): each removed pixel is the weighted mean of its neighbours
    inside the image, removed or not, 1/6 for each beside it and 1/12 for each at a corner; then noise is added. The
    system is solved by conjugate gradients in float32, to 1e-5 of the residual of the start, the mean colour.

    shares: between 0 and 1, those of the authors' code. noise: the standard deviation, in each image's value range; the
    same for all images. score, targets, seed, batch_size: see `metrics`.
    """
    check_score(score)
    check_seed(seed)
    probe, images, maps, targets = question(model, images, explanation, targets, batch_size)
    if images.ndim != 4:
        raise ValueError(f"road fills in pixels from their neighbours and takes images (N,H,W,C), not {images.shape}")
    shares = _checked(shares, noise)
    ranks, count = ranked(maps)
    removed = np.clip((shares * count + 1e-9).astype(int), 1, count - 1)
    strength = noise * (images.max(axis=(1, 2, 3), keepdims=True) - images.min(axis=(1, 2, 3), keepdims=True))
    randoms = [np.random.default_rng([seed, number]) for number in range(len(shares))]
    drawn = np.stack([random.standard_normal(images.shape[1:], "float32") for random in randoms])
    program = probe.program((road_curve, "imputed"), imputed)

    def perturb(which, sample):
        holes = (ranks[which] < removed[sample, None, None])[..., None].astype("float32")
        filled = backend.to_numpy(program(images[which], holes))
        return filled + holes * strength[which] * drawn[sample]

    scores, everything = np.empty((len(images), len(shares))), np.arange(len(images))
    for which, sample, found, _ in sampled(probe, everything, targets, len(shares), perturb, scored, score=score):
        scores[which, sample] = found
    return scores


def imputed(images, holes):
    """images (N,H,W,C) where each pixel in the holes (N,H,W,1), 0 or 1, is the weighted mean of its neighbours.

    (D - W) x = W y at the holes, y the pixels known and D the sum of a pixel's weights: symmetric and positive definite
    where a pixel is known. Conjugate gradients, for each image and channel by itself.
    """
    known = (1 - holes) * images
    start = holes * ops.sum(known, axis=(1, 2), keepdims=True) / ops.sum(1 - holes, axis=(1, 2), keepdims=True)
    degrees = _neighbours(ops.ones_like(images[:1, :, :, :1]))

    def system(x):
        return holes * (degrees * x - _neighbours(x))

    residual = holes * _neighbours(known) - system(start)
    first = _squares(residual)

    def unsolved(step, x, residual, direction, squares):
        return ops.any(squares > EXACT**2 * first)

    def better(step, x, residual, direction, squares):
        along = system(direction)
        length = _ratio(squares, ops.sum(direction * along, axis=(1, 2), keepdims=True))
        x, residual = x + length * direction, residual - length * along
        after = _squares(residual)
        return step + 1, x, residual, residual + _ratio(after, squares) * direction, after

    most = 10 * max(images.shape[1:3])
    state = ops.zeros((), "int32"), start, residual, residual, first
    return known + ops.while_loop(unsolved, better, state, maximum_iterations=most)[1]


def _neighbours(x):
    """The weighted sum of each pixel's eight neighbours, 0 outside: ([1 2 1]' [1 2 1] - 4 in the middle) / 12."""
    padded = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:] - 4 * x) / 12


def _squares(x):
    return ops.sum(x * x, axis=(1, 2), keepdims=True)


def _ratio(above, below):
    """above / below; 0 where there is nothing left to divide."""
    return ops.where(below > 0, above / ops.where(below > 0, below, 1.0), 0.0)


def _checked(shares, noise) -> np.ndarray:
    """The shares as an array; ValueError where one is not between 0 and 1, and for a noise below 0."""
    given = np.atleast_1d(np.asarray(shares, "float64"))
    if given.ndim != 1 or not given.size or not ((given > 0) & (given < 1)).all():
        raise ValueError(f"shares={shares!r} are not between 0 and 1")
    if not isinstance(noise, numbers.Real) or noise < 0:
        raise ValueError(f"noise={noise!r} is no standard deviation; give 0 or more")
    return given
