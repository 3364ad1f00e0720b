"""Grad-CAM: the features weighted by their mean gradient."""

from keras import ops

from keras_actmaps.methods.kinds import at_layer, space


@at_layer
def gradcam(features, gradients):
    """Where the features of a layer speak for the target (Selvaraju et al. 2017, eq. 1 and 2).

    a_k = mean_ij dY/dA_ij^k and L = relu(sum_k a_k A^k). images (N,H,W,C) -> (N,h,w).
    Cost: one forward pass, and one backward pass from the score to the layer.
    Fails: a mean gradient hides what differs from place to place, so before the last layers the map can mislead.
    """
    weights = ops.mean(gradients, axis=space(features), keepdims=True)
    return ops.relu(ops.sum(weights * features, axis=-1))
