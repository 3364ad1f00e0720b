"""Grad-CAM: the features weighted by their mean gradient."""

from keras import ops

from keras_actmaps.methods.kinds import at_layer, space


@at_layer
def gradcam(features, gradients):
    """Where the features of a layer speak for the target (Selvaraju et al. 2017, eq. 1 and 2).

    a_k = mean_ij dY/dA_ij^k and L = relu(sum_k a_k A^k). images (N,H,W,C) -> (N,h,w).
    """
    weights = ops.mean(gradients, axis=space(features), keepdims=True)
    return ops.relu(ops.sum(weights * features, axis=-1))
