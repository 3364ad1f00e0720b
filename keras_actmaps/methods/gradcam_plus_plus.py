"""Grad-CAM++: Grad-CAM with a weight for each place of a channel."""

from keras import ops

from keras_actmaps.methods.kinds import at_layer, space


@at_layer
def gradcam_plus_plus(features, gradients):
    """Where the features speak for the target, several small objects alike (Chattopadhay et al. 2018, eq. 19).

    With g = dY/dA_ij^k: alpha = g^2 / (2 g^2 + g^3 sum_ab A_ab^k) = 1 / (2 + g sum_ab A_ab^k),
    w_k = sum_ij alpha relu(g) and L = relu(sum_k w_k A^k). The paper scores with exp(Y), which would multiply the map
    by exp(Y) and overflow; it is left out. images (N,H,W,C) -> (N,h,w).
    Cost: one forward pass, and one backward pass from the score to the layer.
    Fails: uses positive gradients only, so that what speaks against the target lights up too where it is active.
    """
    totals = ops.sum(features, axis=space(features), keepdims=True)
    alphas_gradients = ops.divide_no_nan(ops.relu(gradients), 2 + gradients * totals)
    weights = ops.sum(alphas_gradients, axis=space(features), keepdims=True)
    return ops.relu(ops.sum(weights * features, axis=-1))
