"""Areas under deletion and insertion curves: how soon the score falls or rises in the order of a map."""

from typing import Any

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.methods._baselines import Fill
from keras_actmaps.metrics.curves import deletion_curve, insertion_curve
from keras_actmaps.metrics.registry import BatchSize, Metric, Patch, Score, Share, Steps, validated


@validated
def deletion(
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
    """Area under the deletion curve: low where the score falls early.

    mean_k (Y_k-1 + Y_k) / 2 over the steps k (Petsiuk et al. 2018, algorithm 1), by trapezoids as in the authors' code.
    In the paper Y is the probability and hidden pixels are black.

    Parameters
    ----------
    model, images, explanation, steps, patch, share, fill, score, targets, batch_size
        As for `deletion_curve`.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        As `deletion_curve` does.

    Notes
    -----
    `steps` + 1 forward passes per image.
    """
    curve = deletion_curve(
        model,
        images,
        explanation,
        steps=steps,
        patch=patch,
        share=share,
        fill=fill,
        score=score,
        targets=targets,
        batch_size=batch_size,
    )
    return _area(curve)


@validated
def insertion(
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
    """Area under the insertion curve: high where the score rises early.

    mean_k (Y_k-1 + Y_k) / 2 over the steps k (Petsiuk et al. 2018, algorithm 1). In the paper Y is the probability and
    the curve starts from a blurred image, fill="blur"; the default here is a black image, where `deletion` ends.

    Parameters
    ----------
    model, images, explanation, steps, patch, share, fill, score, targets, batch_size
        As for `insertion_curve`.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        As `insertion_curve` does.

    Notes
    -----
    `steps` + 1 forward passes per image.
    """
    curve = insertion_curve(
        model,
        images,
        explanation,
        steps=steps,
        patch=patch,
        share=share,
        fill=fill,
        score=score,
        targets=targets,
        batch_size=batch_size,
    )
    return _area(curve)


@validated
def pixel_flipping(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    steps: Steps = 28,
    patch: Patch = 1,
    share: Share = 1.0,
    fill: Fill = "zero",
    score: Score = "logit",
    targets: Any = None,
    batch_size: BatchSize = 32,
) -> Array:
    """Area over the perturbation curve: high where the score falls early and far.

    1 / (L + 1) sum_k=0..L (Y_0 - Y_k), Y_k the score after k steps, the most important patches first (Samek et al.
    2017, eq. 12; pixel flipping after Bach et al. 2015). In the paper Y is the score before the softmax, a step changes
    a patch of 9 x 9 pixels, and these are replaced by uniform noise.

    Parameters
    ----------
    model, images, explanation, steps, patch, share, fill, score, targets, batch_size
        As for `deletion_curve`.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        As `deletion_curve` does.

    Notes
    -----
    `steps` + 1 forward passes per image.
    """
    curve = deletion_curve(
        model,
        images,
        explanation,
        steps=steps,
        patch=patch,
        share=share,
        fill=fill,
        score=score,
        targets=targets,
        batch_size=batch_size,
    )
    return (curve[:, :1] - curve).mean(axis=1)


def _area(curve: Array) -> Array:
    """The mean height (N,) of curves (N, points) of equal steps, by trapezoids."""
    return (curve[:, :-1] + curve[:, 1:]).mean(axis=1) / 2


_COST = "`steps` + 1 forward passes."
_LIMITATIONS = "partly hidden images are unlike those the model was trained on."
RECORDS = (
    Metric(
        name="deletion",
        function=deletion,
        better="lower",
        requires=frozenset({"model"}),
        summary="Mean score as the most important pixels are hidden one after the other",
        paper="Petsiuk et al. 2018, algorithm 1",
        cost=_COST,
        limitations=_LIMITATIONS,
    ),
    Metric(
        name="insertion",
        function=insertion,
        better="higher",
        requires=frozenset({"model"}),
        summary="Mean score as the most important pixels are shown one after the other",
        paper="Petsiuk et al. 2018, algorithm 1",
        cost=_COST,
        limitations=_LIMITATIONS,
    ),
    Metric(
        name="pixel_flipping",
        function=pixel_flipping,
        better="higher",
        requires=frozenset({"model"}),
        summary="Mean loss of score as the most important pixels are hidden one after the other",
        paper="Samek et al. 2017, eq. 12",
        cost=_COST,
        limitations=_LIMITATIONS,
    ),
)
