"""CAM: the linear head after global average pooling, applied at every position instead."""

from typing import Any

import keras
from keras import layers, ops

from keras_actmaps.core.attribution import spatial_axes
from keras_actmaps.core.graph import only_output
from keras_actmaps.core.rewrite import is_identity
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods.registry import Attribution, Method

POOLS = (layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D)
CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
AFFINE = (layers.Flatten, layers.Reshape, layers.Permute, layers.BatchNormalization, layers.Rescaling)


def cam(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """M_c(x, y) = sum_k w_k^c f_k(x, y) + b_c, whose mean over space is the logit (Zhou et al. 2016, eq. 2).

    The head is applied as a 1x1 convolution, with the bias.
    """
    values, (slot,), head = traced.split(inputs)
    features = values[slot]
    positions = ops.reshape(features, (-1, *(1 for _ in spatial_axes(features)), features.shape[-1]))
    scores = only_output(traced.run_to_outputs(head, {slot: positions}))
    class_maps = ops.reshape(scores, (*features.shape[:-1], -1))
    outputs = traced.run_to_outputs(head, values)
    return Attribution(_select(traced.class_scores(class_maps), traced.resolve(outputs, targets)), outputs)


def _validate(traced: TracedModel, inputs: Array) -> None:
    problem = linear_head_problem(traced)
    if problem is not None:
        raise ValueError(
            "cam needs only global average pooling and linear layers behind layer "
            f"{traced.require_layers()[0]!r} of {traced.name!r}, but {problem}; gradcam works there"
        )


def linear_head_problem(traced: TracedModel) -> str | None:
    """Why the nodes after the layer are not global average pooling and linear layers; None if they are."""
    (path,) = traced.require_layers()
    head, rank = traced.graph.descendants([traced.graph.slot_of[path]]), len(traced.space)
    wrong = next((node for node in head if not _is_affine(node.operation, rank)), None)
    if wrong is not None:
        return f"{wrong.path!r} ({type(wrong.operation).__name__}) follows"
    pools = sum(_is_pool(node.operation, rank) for node in head)
    is_chain = pools == 1 and traced.classes and all(len(node.reads) == 1 for node in head)
    return None if is_chain else "what follows it is different"


def _is_pool(operation: Any, rank: int) -> bool:
    if type(operation).__name__ == "Mean":
        axes = operation.axis if isinstance(operation.axis, (tuple, list)) else [operation.axis]
        return sorted(axes) == list(range(1, 1 + rank))
    return isinstance(operation, POOLS)


def _is_affine(operation: Any, rank: int) -> bool:
    if _is_pool(operation, rank) or is_identity(operation) or isinstance(operation, AFFINE):
        return True
    is_pointwise = isinstance(operation, CONVOLUTIONS) and set(operation.kernel_size) == {1}
    return (is_pointwise or isinstance(operation, layers.Dense)) and operation.activation is keras.activations.linear


def _select(class_maps: Tensor, targets: Tensor) -> Tensor:
    """The maps (N, h, w) of targets (N,), or (N, K, h, w) of (N, K), from all class maps (N, h, w, classes)."""
    chosen = ops.vectorized_map(lambda pair: ops.take(pair[0], pair[1], axis=-1), (class_maps, targets))
    return chosen if len(targets.shape) == 1 else ops.moveaxis(chosen, -1, 1)


METHOD = Method(
    name="cam",
    function=cam,
    level="layer",
    multi_target=True,
    validate=_validate,
    needs=frozenset({"graph", "spatial_layer", "gap_head"}),
    summary="The class map whose mean over space is the logit",
    paper="Zhou et al. 2016, eq. 2, with the bias",
    cost="one forward pass.",
    limitations="only for networks that end in global average pooling; as coarse as their last layer.",
)
