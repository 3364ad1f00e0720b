"""Score-CAM: channels weighted by the score of the image masked by them."""

from typing import Any

import numpy as np
from keras import ops

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.attribution import map_shape
from keras_actmaps.core.resize import resize_tensor
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel, features_only
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._masking import Masked
from keras_actmaps.methods._sampling import run_chunks
from keras_actmaps.methods.registry import Attribution, Method

ROUNDING = 1e-6  # range of a channel that counts as constant, relative to its largest value


def scorecam(traced: TracedModel, inputs: Array, targets: Any, context: RunContext) -> Attribution:
    """L = relu(sum_k w_k A^k) with w = softmax over the channels of Y(x * M_k) (Wang et al. 2020, algorithm 1).

    M_k = A^k resized to the image and scaled to 0..1. Y is the logit, without a softmax over the classes; the score of
    the paper's black baseline cancels in the softmax. The mask of a constant channel is 0.
    """
    found, _, _ = traced.run(features_only, inputs, targets, context=context)
    numbers = np.arange(found.shape[-1], dtype="int32")

    def rows(chosen: Array) -> list:
        return [numbers[chosen]]

    perturb = Masked(_channel_masks, has_fill=False)
    chunks = run_chunks(traced, inputs, targets, len(numbers), rows, perturb, context, constants=(found,))
    scores = np.concatenate([values for _, values in chunks]).T.astype("float64")
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return Attribution(np.maximum(np.einsum("n...k,nk->n...", to_numpy(found), weights), 0).astype("float32"))


def _channel_masks(inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """Some channels of features (N, h, w, C) as masks (s, N, H, W), each scaled to 0..1; 0 for a constant channel."""
    maps = ops.moveaxis(ops.take(constants[0], rows[0], axis=-1), -1, 0)
    axes = tuple(range(2, len(maps.shape)))
    spread = ops.max(maps, axis=axes, keepdims=True) - ops.min(maps, axis=axes, keepdims=True)
    varies = spread > ROUNDING * ops.max(ops.abs(maps), axis=axes, keepdims=True)
    maps = resize_tensor(maps, map_shape(inputs))
    low, high = ops.min(maps, axis=axes, keepdims=True), ops.max(maps, axis=axes, keepdims=True)
    return ops.where(varies, (maps - low) / ops.where(high > low, high - low, 1.0), 0.0)


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
