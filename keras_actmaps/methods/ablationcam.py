"""Ablation-CAM: channels weighted by the drop in score when they are removed."""

from typing import Any

from keras import ops

from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Tensor
from keras_actmaps.methods.registry import Attribution, Method


def ablationcam(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """L = relu(sum_k w_k A^k) with w_k = (Y - Y_k) / |Y| (Desai and Ramaswamy 2020).

    Y_k is the score where channel k of the features A is 0. The paper divides by Y, which would invert every sign for
    a negative score.
    """
    values, (slot,), head = traced.split(inputs)
    features = values[slot]
    outputs = traced.run_to_outputs(head, values)
    resolved = targets if callable(targets) else traced.resolve(outputs, targets)
    scores = traced.score(outputs, resolved)

    def score_without(kept: Tensor) -> Tensor:
        return traced.score(traced.run_to_outputs(head, {**values, slot: features * kept}), resolved)

    channels = features.shape[-1]
    ablated = ops.map(score_without, ops.cast(1 - ops.eye(channels), features.dtype))
    weights = ops.moveaxis(ops.divide_no_nan(scores - ablated, ops.abs(scores)), 0, -1)
    space = tuple(1 for _ in features.shape[1:-1])
    if len(weights.shape) == 3:
        features = features[:, None]
    weighted = ops.reshape(weights, (*weights.shape[:-1], *space, channels)) * features
    return Attribution(ops.relu(ops.sum(weighted, axis=-1)), outputs)


METHOD = Method(
    name="ablationcam",
    function=ablationcam,
    level="layer",
    multi_target=True,
    needs=frozenset({"graph", "spatial_layer"}),
    summary="The features of a layer, weighted by the drop in score without them",
    paper="Desai and Ramaswamy 2020",
    cost="one forward pass, and one pass of the layers after it per channel; no gradient.",
    limitations="redundant channels each get little weight; slow at early layers, as later ones are run per channel.",
)
