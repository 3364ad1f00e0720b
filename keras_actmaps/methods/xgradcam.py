"""XGrad-CAM: gradients weighted by the features they belong to."""

from keras import ops

from keras_actmaps.methods.kinds import at_layer, space


@at_layer
def xgradcam(features, gradients):
    """Grad-CAM with the weights that come closest to conserving the score (Fu et al. 2020).

    w_k = sum_ij A_ij^k dY/dA_ij^k / sum_ij A_ij^k and L = relu(sum_k w_k A^k); before the relu the map sums to
    sum A dY/dA. A channel whose features sum to 0 counts nothing. images (N,H,W,C) -> (N,h,w).
    Cost: one forward pass, and one backward pass from the score to the layer.
    Fails: a channel of both signs can sum to nearly 0 and then gets a huge weight, as at layers without a ReLU.
    """
    given = ops.sum(gradients * features, axis=space(features), keepdims=True)
    weights = ops.divide_no_nan(given, ops.sum(features, axis=space(features), keepdims=True))
    return ops.relu(ops.sum(weights * features, axis=-1))
