"""Deletion and insertion curves: the score as an image is hidden or shown in the order of its map."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.methods._baselines import Fill
from keras_actmaps.methods._masking import masked_scores
from keras_actmaps.metrics._inputs import target_scores, validate_inputs
from keras_actmaps.metrics._patches import patch_ranks, patches_after_steps
from keras_actmaps.metrics.registry import BatchSize, Patch, Score, Share, Steps, validated


@validated
def deletion_curve(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    steps: Steps = 28,
    patch: Patch = 1,
    share: Share = 1.0,
    fill: Fill = "zero",
    score: Score = "softmax",
    targets: Any = None,
    batch_size: BatchSize = 32,
) -> Array:
    """The score of each image, and after each step that hides its most important patches.

    Parameters
    ----------
    model, images, explanation, patch, fill, score, targets, batch_size
        See `keras_actmaps.metrics`.
    steps : int
        Steps, equal in patches, rounded down.
    share : float
        Share of the patches that is hidden after the last step, above 0 and at most 1.

    Returns
    -------
    float64 array of shape (N, steps + 1)

    Raises
    ------
    ValueError
        Before any computation, for more steps than patches, and for settings and inputs that do not fit.
    """
    return _curve(np.greater_equal, model, images, explanation, steps, patch, share, fill, score, targets, batch_size)


@validated
def insertion_curve(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    steps: Steps = 28,
    patch: Patch = 1,
    share: Share = 1.0,
    fill: Fill = "zero",
    score: Score = "softmax",
    targets: Any = None,
    batch_size: BatchSize = 32,
) -> Array:
    """The score of the fill, and after each step that shows the most important patches of the image.

    Parameters
    ----------
    model, images, explanation, steps, patch, fill, score, targets, batch_size
        As for `deletion_curve`.
    share : float
        Share of the patches that is shown after the last step, above 0 and at most 1.

    Returns
    -------
    float64 array of shape (N, steps + 1)

    Raises
    ------
    ValueError
        As `deletion_curve` does.
    """
    return _curve(np.less, model, images, explanation, steps, patch, share, fill, score, targets, batch_size)


def _curve(
    is_kept: Callable[[Array, Array], Array],
    model: Any,
    images: Any,
    explanation: Explanation,
    steps: int,
    patch: Any,
    share: float,
    fill: Any,
    score: str,
    targets: Any,
    batch_size: int,
) -> Array:
    """The scores (N, steps + 1) with the patches kept for which is_kept(rank, number of patches so far)."""
    traced, images, maps, targets, context = validate_inputs(model, images, explanation, targets, batch_size)
    ranks, count = patch_ranks(maps, patch)
    numbers = patches_after_steps(steps, share, count)

    def masks(which: Array, sample: Array) -> Array:
        return is_kept(ranks[which], numbers[sample].reshape(-1, *(1,) * (ranks.ndim - 1)))

    return masked_scores(traced, images, targets, steps + 1, masks, fill, context, target_scores, score=score)
