"""Explanations of known maps, and probabilities."""

import numpy as np

from keras_actmaps.core.explanation import Explanation


def explanation_of(maps, targets=0) -> Explanation:
    """An explanation with these maps; targets: a class, (N,) or (N, K) classes, or None for a function."""
    maps = np.asarray(maps, "float32")
    if targets is not None:
        targets = np.full(len(maps), targets) if np.ndim(targets) == 0 else np.asarray(targets)
    scores = np.zeros(len(maps) if targets is None else targets.shape, "float32")
    return Explanation(maps, targets, scores, "gradcam")


def softmax(logits) -> np.ndarray:
    """Probabilities in float64."""
    powers = np.exp(logits.astype("float64") - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
