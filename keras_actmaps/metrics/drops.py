"""Average drop and increase: the score of what a map lets through, beside that of the whole image."""

import numpy as np

from keras_actmaps.methods._masking import masked_scores
from keras_actmaps.metrics.registry import check_score, higher_is_better, lower_is_better, question, scored


@lower_is_better
def average_drop(model, images, explanation, *, fill="zero", score="softmax", targets=None, batch_size=32):
    """The share of the score that is lost where a map's places only are seen (Chattopadhay et al. 2018, eq. 20): (N,).

    max(0, Y - O) / Y in 0..1, O the score of m x + (1 - m) fill, m the map scaled to 0..1; the paper gives the mean
    over the images, in percent, of the probability. A constant map lets nothing through.

    fill, score, targets, batch_size: see `metrics`. Raises ValueError where a score Y is below 0, as logits may be.
    Cost: 2 forward passes an image.
    Fails: favours maps that show much; one that shows all has no drop.
    """
    whole, seen = _scores(model, images, explanation, fill, score, targets, batch_size)
    if (whole < 0).any():
        first = int(np.argmax(whole < 0))
        raise ValueError(f"image {first} has the score {whole[first]:.3g}, and a share of less than 0 means nothing; "
                         "give score='softmax' or 'sigmoid'")  # fmt: skip
    return np.maximum(whole - seen, 0) / np.where(whole > 0, whole, 1)


@higher_is_better
def increase_in_confidence(model, images, explanation, *, fill="zero", score="softmax", targets=None, batch_size=32):
    """1 where the score grows when a map's places only are seen, else 0 (Chattopadhay et al. 2018, eq. 21): (N,).

    1[Y < O], O the score of m x + (1 - m) fill, m the map scaled to 0..1; the paper gives the mean over the images, in
    percent, of the probability. A constant map lets nothing through.

    fill, score, targets, batch_size: see `metrics`.
    Cost: 2 forward passes an image.
    Fails: cannot show an increase where the probability is 1 in float32.
    """
    whole, seen = _scores(model, images, explanation, fill, score, targets, batch_size)
    return (seen > whole).astype("float64")


def scaled(maps: np.ndarray) -> np.ndarray:
    """maps (N,H,W) from 0 to 1, each by itself; 0 for a constant map."""
    axes = tuple(range(1, maps.ndim))
    low, high = maps.min(axis=axes, keepdims=True), maps.max(axis=axes, keepdims=True)
    return (maps - low) / np.where(high > low, high - low, 1)


def _scores(model, images, explanation, fill, score, targets, batch_size) -> np.ndarray:
    """The scores (2, N) of the whole images, and of what the maps let through."""
    check_score(score)
    probe, images, maps, targets = question(model, images, explanation, targets, batch_size)
    shown = scaled(maps)

    def masks(which, sample):
        seen = shown[which]
        seen[sample == 0] = 1
        return seen

    return masked_scores(probe, images, targets, 2, masks, fill, scored, score=score).T
