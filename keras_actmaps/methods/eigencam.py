"""Eigen-CAM: the features along their first principal direction."""

from keras import ops

from keras_actmaps.methods.kinds import compiled, of_layer, one_layer, takes_many


@of_layer
@takes_many
@compiled
def eigencam(probe, images, targets):
    """What dominates the features of a layer, whatever the target (Muhammad and Yeasin 2020).

    A = U S V^T, the features as a matrix (h w, C), not centred, and L = A v_1. A singular vector has no sign of its
    own: it is taken so that the map sums to 0 or more. images (N,H,W,C) -> (N,h,w).
    Cost: one forward pass and a singular value decomposition.
    Fails: asks for no class, so all targets get one map; where the background is strongest, it shows the background.
    """
    one_layer(probe, "eigencam")
    values, (slot,), head = probe.split(images)
    probe.note(probe.finish(head, values), targets)
    features = ops.cast(values[slot], "float32")
    matrix = ops.reshape(features, (features.shape[0], -1, features.shape[-1]))
    left, strengths, _ = ops.svd(matrix, full_matrices=False)
    first = left[:, :, 0] * strengths[:, :1]
    signed = ops.where(ops.sum(first, axis=1, keepdims=True) < 0, -first, first)
    maps = ops.reshape(signed, features.shape[:-1])
    if callable(targets) or len(targets.shape) == 1:
        return maps
    return ops.repeat(maps[:, None], targets.shape[1], axis=1)
