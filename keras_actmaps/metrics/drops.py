"""Average drop, average gain and increase in confidence: the score of the image masked by its map."""

from typing import Any

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.methods._baselines import Fill
from keras_actmaps.methods._masking import masked_scores
from keras_actmaps.metrics._inputs import target_scores, unit_range, validate_inputs
from keras_actmaps.metrics.registry import BatchSize, Metric, Score, validated

ROUNDING = 1e-6  # by which a probability in float32 may exceed 1


@validated
def average_drop(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    fill: Fill = "zero",
    score: Score = "softmax",
    targets: Any = None,
    batch_size: BatchSize = 32,
) -> Array:
    """Relative drop in score when the image is masked by its map.

    max(0, Y - O) / Y in [0, 1], with O the score of m x + (1 - m) fill and m the map scaled to [0, 1] (Chattopadhay et
    al. 2018, eq. 20). The paper reports the mean over the images, in percent, of the probability. A constant map
    hides the whole image.

    Parameters
    ----------
    model, images, explanation, fill, score, targets, batch_size
        See `keras_actmaps.metrics`.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        Where a score Y is negative, as logits may be, and for settings and inputs that do not fit.

    Notes
    -----
    2 forward passes per image. Favors large maps: one that keeps the whole image has no drop.
    """
    whole, seen = _scores(model, images, explanation, fill, score, targets, batch_size)
    if (whole < 0).any():
        first = int(np.argmax(whole < 0))
        raise ValueError(
            f"image {first} has the score {whole[first]:.3g}, and a share of a negative score is not defined; use "
            "score='softmax' or 'sigmoid'"
        )
    return np.maximum(whole - seen, 0) / np.where(whole > 0, whole, 1)


@validated
def average_gain(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    fill: Fill = "zero",
    score: Score = "softmax",
    targets: Any = None,
    batch_size: BatchSize = 32,
) -> Array:
    """Gain in probability when the image is masked by its map, relative to the largest possible gain.

    max(0, O - Y) / (1 - Y) in [0, 1], with O the score of m x + (1 - m) fill and m the map scaled to [0, 1] (Zhang et
    al. 2024, Opti-CAM), the complement of `average_drop`. The paper reports the mean over the images, in percent. A
    constant map hides the whole image.

    Parameters
    ----------
    model, images, explanation, fill, score, targets, batch_size
        See `keras_actmaps.metrics`.

    Returns
    -------
    float64 array of shape (N,)
        0 where the probability of the whole image is 1.

    Raises
    ------
    ValueError
        Where a score is not a probability, as logits are not, and for settings and inputs that do not fit.

    Notes
    -----
    2 forward passes per image. A gain cannot be measured where the probability is 1 in float32.
    """
    whole, seen = scores = _scores(model, images, explanation, fill, score, targets, batch_size)
    outside = ((scores < 0) | (scores > 1 + ROUNDING)).any(axis=0)
    if outside.any():
        first = int(np.argmax(outside))
        raise ValueError(
            f"image {first} has the scores {whole[first]:.3g} and, masked, {seen[first]:.3g}, and a gain is defined "
            "for probabilities; use score='softmax' or 'sigmoid'"
        )
    return np.maximum(seen - whole, 0) / np.where(whole < 1, 1 - whole, 1)


@validated
def increase_in_confidence(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    fill: Fill = "zero",
    score: Score = "softmax",
    targets: Any = None,
    batch_size: BatchSize = 32,
) -> Array:
    """Whether the score rises when the image is masked by its map: 1 or 0.

    1[Y < O], with O the score of m x + (1 - m) fill and m the map scaled to [0, 1] (Chattopadhay et al. 2018, eq. 21).
    The paper reports the mean over the images, in percent, of the probability. A constant map hides the whole image.

    Parameters
    ----------
    model, images, explanation, fill, score, targets, batch_size
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
    2 forward passes per image. An increase cannot be measured where the probability is 1 in float32.
    """
    whole, seen = _scores(model, images, explanation, fill, score, targets, batch_size)
    return (seen > whole).astype("float64")


def _scores(
    model: Any, images: Any, explanation: Explanation, fill: Any, score: str, targets: Any, batch_size: int
) -> Array:
    """The scores (2, N) of the whole and of the masked images."""
    traced, images, maps, targets, context = validate_inputs(model, images, explanation, targets, batch_size)
    shown = unit_range(maps)

    def masks(which: Array, sample: Array) -> Array:
        seen = shown[which]
        seen[sample == 0] = 1
        return seen

    return masked_scores(traced, images, targets, 2, masks, fill, context, target_scores, score=score).T


RECORDS = (
    Metric(
        name="average_drop",
        function=average_drop,
        better="lower",
        requires=frozenset({"model"}),
        summary="Relative drop in score when the image is masked by its map",
        paper="Chattopadhay et al. 2018, eq. 20",
        cost="2 forward passes.",
        limitations="favors large maps; one that keeps the whole image has no drop.",
    ),
    Metric(
        name="average_gain",
        function=average_gain,
        better="higher",
        requires=frozenset({"model"}),
        summary="Gain in probability when the image is masked by its map, relative to the largest possible gain",
        paper="Zhang et al. 2024",
        cost="2 forward passes.",
        limitations="a gain cannot be measured where the probability is 1 in float32.",
    ),
    Metric(
        name="increase_in_confidence",
        function=increase_in_confidence,
        better="higher",
        requires=frozenset({"model"}),
        summary="Whether the score rises when the image is masked by its map",
        paper="Chattopadhay et al. 2018, eq. 21",
        cost="2 forward passes.",
        limitations="an increase cannot be measured where the probability is 1 in float32.",
    ),
)
