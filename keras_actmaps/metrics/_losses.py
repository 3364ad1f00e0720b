"""Losses of score when parts of the images are hidden."""

from typing import Any

import numpy as np

from keras_actmaps.core.types import Array
from keras_actmaps.methods._masking import masked_scores
from keras_actmaps.metrics._inputs import MetricInputs, target_scores


def losses_without(inputs: MetricInputs, hidden: Array, fill: Any, score: str) -> Array:
    """The drops in score (N, samples) when masked positions (samples, H, W) are hidden."""
    traced, images, _, targets, context = inputs
    kept = ~np.concatenate([np.zeros_like(hidden[:1]), hidden])

    def masks(_: Array, sample: Array) -> Array:
        return kept[sample]

    scores = masked_scores(traced, images, targets, len(kept), masks, fill, context, target_scores, score=score)
    return scores[:, :1] - scores[:, 1:]
