"""Score-CAM: channels weighted by the score of the image masked by them."""

from typing import Any

import numpy as np

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.resize import resize
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel, features_only, outputs_only
from keras_actmaps.core.types import Array
from keras_actmaps.methods._sampling import run_samples
from keras_actmaps.methods.registry import Attribution, Method

ROUNDING = 1e-6  # range of a channel that counts as constant, relative to its largest value


def scorecam(traced: TracedModel, inputs: Array, targets: Any, context: RunContext) -> Attribution:
    """L = relu(sum_k w_k A^k) with w = softmax over the channels of Y(x * M_k) (Wang et al. 2020, algorithm 1).

    M_k = A^k resized to the image and scaled to 0..1. Y is the logit, without a softmax over the classes; the score of
    the paper's black baseline cancels in the softmax. The mask of a constant channel is 0.
    """
    features = to_numpy(traced.run(features_only, inputs, targets, context=context)[0])

    def masked(which: Array, channel: Array) -> Array:
        return inputs[which] * _masks(features[which, ..., channel], inputs.shape[1:-1])[..., None]

    scores = np.empty((len(inputs), features.shape[-1]))
    for which, channel, _, found in run_samples(
        traced, inputs, targets, features.shape[-1], masked, outputs_only, context
    ):
        scores[which, channel] = found
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return Attribution(np.maximum(np.einsum("n...k,nk->n...", features, weights), 0).astype("float32"))


def _masks(maps: Array, space: tuple[int, ...]) -> Array:
    """Maps (M, h, w) as masks (M, H, W), each scaled to 0..1; 0 for a constant map."""
    axes = tuple(range(1, maps.ndim))
    varies = np.ptp(maps, axis=axes, keepdims=True) > ROUNDING * np.abs(maps).max(axis=axes, keepdims=True)
    maps = resize(maps, space)
    low, high = maps.min(axis=axes, keepdims=True), maps.max(axis=axes, keepdims=True)
    return np.where(varies, (maps - low) / np.where(high > low, high - low, 1), 0)


METHOD = Method(
    name="scorecam",
    function=scorecam,
    level="layer",
    single_pass=False,
    needs=frozenset({"graph", "spatial_layer"}),
    summary="The features of a layer, weighted by the score of the image masked by them",
    paper="Wang et al. 2020, algorithm 1",
    cost="one forward pass per channel of the layer; no gradient.",
    limitations="if the scores differ widely, the softmax selects one or two channels and the map shows little else.",
)
