"""Score-CAM: channels weighted by the score of the image seen through them."""

import numpy as np

from keras_actmaps import engine
from keras_actmaps.methods.kinds import features_only, many_passes, of_layer, one_layer, sampled, scores_only
from keras_actmaps.resize import resize


def _check(probe, images):
    one_layer(probe, "scorecam")


@of_layer
@many_passes(_check)
def scorecam(probe, images, targets):
    """The features weighted by the score of what they let through of the image (Wang et al. 2020, algorithm 1).

    M_k = A^k resized to the image and scaled to 0..1, w = softmax over the channels of Y(x * M_k), and
    L = relu(sum_k w_k A^k). Y is the logit, without a softmax over the classes; the score of the paper's black baseline
    cancels in the softmax. A constant channel lets nothing through. images (N,H,W,C) -> (N,h,w).
    Cost: a forward pass for each channel of the layer, and no gradient.
    Fails: where logits are far apart, the softmax leaves one or two channels and the map shows little else.
    """
    features = engine.to_numpy(probe.ask(features_only, images, targets)[0])

    def masked(which, channel):
        return images[which] * _masks(features[which, ..., channel], images.shape[1:-1])[..., None]

    scores = np.empty((len(images), features.shape[-1]))
    for which, channel, _, found in sampled(
        probe, np.arange(len(images)), targets, features.shape[-1], masked, scores_only
    ):
        scores[which, channel] = found
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.maximum(np.einsum("n...k,nk->n...", features, weights), 0).astype("float32")


def _masks(maps: np.ndarray, space: tuple[int, ...]) -> np.ndarray:
    """maps (M,h,w) -> (M,H,W) from 0 to 1, each by itself; 0 for a constant map."""
    maps = resize(maps, space)
    axes = tuple(range(1, maps.ndim))
    low, high = maps.min(axis=axes, keepdims=True), maps.max(axis=axes, keepdims=True)
    return (maps - low) / np.where(high > low, high - low, 1)
