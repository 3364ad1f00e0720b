"""Deletion and insertion: how the score falls or rises as an image is hidden or shown in the order of its map."""

from collections.abc import Callable

import numpy as np

from keras_actmaps.methods._masking import masked_scores
from keras_actmaps.metrics.patches import numbers_of, ranked
from keras_actmaps.metrics.registry import check_score, higher_is_better, lower_is_better, question, scored


@lower_is_better
def deletion(
    model, images, explanation, *, steps=28, patch=1, share=1.0, fill="zero", score="softmax", targets=None,
    batch_size=32,
):  # fmt: skip
    """The area under the deletion curve (Petsiuk et al. 2018, algorithm 1): (N,), low where the score falls early.

    mean_k (Y_k-1 + Y_k) / 2 over the steps k, by trapezoids as in the authors' code. In the paper Y is the probability
    and the places turn black.

    steps, patch, share, fill, score, targets, batch_size: see `deletion_curve`.
    Cost: steps + 1 forward passes an image.
    """
    return area(deletion_curve(model, images, explanation, steps=steps, patch=patch, share=share, fill=fill,
                               score=score, targets=targets, batch_size=batch_size))  # fmt: skip


@higher_is_better
def insertion(
    model, images, explanation, *, steps=28, patch=1, share=1.0, fill="zero", score="softmax", targets=None,
    batch_size=32,
):  # fmt: skip
    """The area under the insertion curve (Petsiuk et al. 2018, algorithm 1): (N,), high where the score rises early.

    mean_k (Y_k-1 + Y_k) / 2 over the steps k. In the paper Y is the probability and the start is a blurred image,
    fill="blur"; here it is black by default, the end of `deletion`.

    steps, patch, share, fill, score, targets, batch_size: see `insertion_curve`.
    Cost: steps + 1 forward passes an image.
    """
    return area(insertion_curve(model, images, explanation, steps=steps, patch=patch, share=share, fill=fill,
                                score=score, targets=targets, batch_size=batch_size))  # fmt: skip


@higher_is_better
def pixel_flipping(
    model, images, explanation, *, steps=28, patch=1, share=1.0, fill="zero", score="logit", targets=None,
    batch_size=32,
):  # fmt: skip
    """The area over the perturbation curve (Samek et al. 2017, eq. 12; flipping after Bach et al. 2015): (N,).

    1 / (L + 1) sum_k=0..L (Y_0 - Y_k), Y_k the score after k steps, the most important first. In the paper Y is the
    score before the softmax, a step takes a patch of 9x9 pixels, and these turn into uniform noise.

    steps, patch, share, fill, score, targets, batch_size: see `deletion_curve`.
    Cost: steps + 1 forward passes an image.
    """
    curve = deletion_curve(model, images, explanation, steps=steps, patch=patch, share=share, fill=fill, score=score,
                           targets=targets, batch_size=batch_size)  # fmt: skip
    return (curve[:, :1] - curve).mean(axis=1)


def deletion_curve(
    model, images, explanation, *, steps=28, patch=1, share=1.0, fill="zero", score="softmax", targets=None,
    batch_size=32,
):  # fmt: skip
    """The scores (N, steps + 1) of the image, and of it after each step that hides its most important patches.

    steps: equal in patches, rounded down. share: of the patches, those hidden after the last step.
    patch, fill, score, targets, batch_size: see `metrics`. Raises ValueError, before any work, for more steps than
    patches and for what does not fit.
    """
    return _curve(model, images, explanation, np.greater_equal, steps, patch, share, fill, score, targets, batch_size)


def insertion_curve(
    model, images, explanation, *, steps=28, patch=1, share=1.0, fill="zero", score="softmax", targets=None,
    batch_size=32,
):  # fmt: skip
    """The scores (N, steps + 1) of the fill, and of it after each step that shows the most important patches.

    share: of the patches, those shown after the last step. Otherwise as `deletion_curve`.
    """
    return _curve(model, images, explanation, np.less, steps, patch, share, fill, score, targets, batch_size)


def area(curve: np.ndarray) -> np.ndarray:
    """The mean height (N,) of curves (N, points) of equal steps, by trapezoids."""
    return (curve[:, :-1] + curve[:, 1:]).mean(axis=1) / 2


def _curve(
    model, images, explanation, kept: Callable, steps, patch, share, fill, score, targets, batch_size
) -> np.ndarray:
    """The scores where only the places are kept for which kept(rank, number of patches so far)."""
    check_score(score)
    probe, images, maps, targets = question(model, images, explanation, targets, batch_size)
    ranks, count = ranked(maps, patch)
    numbers = numbers_of(steps, share, count)

    def masks(which, sample):
        number = numbers[sample].reshape(-1, *(1,) * (ranks.ndim - 1))
        return kept(ranks[which], number)

    return masked_scores(probe, images, targets, steps + 1, masks, fill, scored, score=score)
