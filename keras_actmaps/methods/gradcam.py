"""Grad-CAM: the features weighted by their mean gradient."""

from typing import Any

from keras import ops

from keras_actmaps.core.attribution import spatial_axes
from keras_actmaps.core.class_gradients import class_weights, mean_gradients
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Tensor
from keras_actmaps.methods.cam import linear_head_problem
from keras_actmaps.methods.registry import Attribution, Method


def gradcam(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """L = relu(sum_k a_k A^k) with a_k = mean_ij dY/dA_ij^k (Selvaraju et al. 2017, eq. 1 and 2)."""
    if callable(targets) or len(targets.shape) == 1:
        return traced.map_at_layer(inputs, targets, _map)
    values, (slot,), head = traced.split(inputs)
    features, outputs = ops.cast(values[slot], "float32"), traced.run_to_outputs(head, values)
    resolved = traced.resolve(outputs, targets)

    def scores_at(features: Tensor) -> Tensor:
        return traced.class_scores(traced.run_to_outputs(head, {slot: features}))

    def scores_shifted(shift: Tensor) -> Tensor:
        return traced.class_scores(traced.run_to_outputs(head, values, {slot: shift}))

    if linear_head_problem(traced) is None:
        weights = ops.take(class_weights(scores_at, features, traced.classes or 0), resolved, axis=0)
    else:
        weights = mean_gradients(scores_shifted, features, resolved)
    positions = ops.reshape(features, (features.shape[0], -1, features.shape[-1]))
    maps = ops.matmul(weights, ops.transpose(positions, (0, 2, 1)))
    return Attribution(ops.relu(ops.reshape(maps, (*weights.shape[:2], *features.shape[1:-1]))), outputs)


def _map(features: Tensor, gradients: Tensor) -> Tensor:
    """The maps (N, h, w) of one class."""
    weights = ops.mean(gradients, axis=spatial_axes(features), keepdims=True)
    return ops.relu(ops.sum(weights * features, axis=-1))


METHOD = Method(
    name="gradcam",
    function=gradcam,
    level="layer",
    multi_target=True,
    needs=frozenset({"gradients", "graph", "spatial_layer"}),
    summary="Where the features of a layer support the target",
    paper="Selvaraju et al. 2017, eq. 1 and 2",
    cost="one forward pass, and one backward pass from each score to the layer; none behind global average pooling.",
    limitations="averages gradients over all positions, so maps of layers before the last can mislead.",
)
