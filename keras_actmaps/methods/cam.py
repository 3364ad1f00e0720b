"""CAM: the linear head behind global average pooling, applied at every place instead."""

import keras
from keras import layers, ops

from keras_actmaps import rewire
from keras_actmaps.methods.kinds import compiled, of_layer, one_layer, space, takes_many

POOLS = (layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D)
CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
AFFINE = (layers.Flatten, layers.Reshape, layers.BatchNormalization, layers.Rescaling)


@of_layer
@takes_many
@compiled
def cam(probe, images, targets):
    """The class map whose mean over space is the logit (Zhou et al. 2016, eq. 2, with the bias).

    M_c(x, y) = sum_k w_k^c f_k(x, y) + b_c, the head as a 1x1 convolution. images (N,H,W,C) -> (N,h,w).
    Raises ValueError where more than global average pooling and linear layers follows the layer.
    Cost: one forward pass.
    Fails: fits networks of global average pooling only, and is as coarse as their last layer.
    """
    one_layer(probe, "cam")
    values, (slot,), head = probe.split(images)
    check_head(probe, head)
    features = values[slot]
    channels = features.shape[-1]
    places = ops.reshape(features, (-1, *(1 for _ in space(features)), channels))
    class_maps = ops.reshape(probe.finish(head, {slot: places}), (*features.shape[:-1], -1))
    outputs = probe.finish(head, values)
    probe.note(outputs, targets)
    return _chosen(class_maps, probe.resolve(outputs, targets))


def check_head(probe, head) -> None:
    """ValueError where the steps behind the layer are not global average pooling and linear layers."""
    wrong = next((step for step in head if not _is_affine(step.operation, len(probe.space))), None)
    pools = sum(_is_pool(step.operation, len(probe.space)) for step in head)
    if wrong is None and pools == 1 and probe.classes and all(len(step.reads) == 1 for step in head):
        return
    reason = f"{wrong.path!r} ({type(wrong.operation).__name__}) follows" if wrong else "they do not follow it so"
    raise ValueError(
        f"cam needs only global average pooling and linear layers behind layer {probe.layer!r} of {probe.name!r}, but "
        f"{reason}; gradcam works there"
    )


def _is_pool(operation, rank: int) -> bool:
    if type(operation).__name__ == "Mean":
        axes = operation.axis if isinstance(operation.axis, (tuple, list)) else [operation.axis]
        return sorted(axes) == list(range(1, 1 + rank))
    return isinstance(operation, POOLS)


def _is_affine(operation, rank: int) -> bool:
    if _is_pool(operation, rank) or rewire.is_identity(operation) or isinstance(operation, AFFINE):
        return True
    is_pointwise = isinstance(operation, CONVOLUTIONS) and set(operation.kernel_size) == {1}
    return (is_pointwise or isinstance(operation, layers.Dense)) and operation.activation is keras.activations.linear


def _chosen(class_maps, targets):
    """The maps (N,h,w) of the targets (N,), or (N,K,h,w) of (N,K), from all class maps (N,h,w,classes)."""
    chosen = ops.vectorized_map(lambda pair: ops.take(pair[0], pair[1], axis=-1), (class_maps, targets))
    return chosen if len(targets.shape) == 1 else ops.moveaxis(chosen, -1, 1)
