"""Grad-CAM++: Grad-CAM with a weight for each position of a channel."""

from keras import ops

from keras_actmaps.core.attribution import spatial_axes
from keras_actmaps.core.types import Tensor
from keras_actmaps.methods.registry import Method, at_layer


def gradcam_plus_plus(features: Tensor, gradients: Tensor) -> Tensor:
    """L = relu(sum_k w_k A^k) with w_k = sum_ij alpha relu(g), g = dY/dA_ij^k (Chattopadhay et al. 2018, eq. 19).

    alpha = g^2 / (2 g^2 + g^3 sum_ab A_ab^k) = 1 / (2 + g sum_ab A_ab^k). The paper scores with exp(Y), which would
    multiply the map by exp(Y) and overflow; it is omitted.
    """
    totals = ops.sum(features, axis=spatial_axes(features), keepdims=True)
    alphas_gradients = ops.divide_no_nan(ops.relu(gradients), 2 + gradients * totals)
    weights = ops.sum(alphas_gradients, axis=spatial_axes(features), keepdims=True)
    return ops.relu(ops.sum(weights * features, axis=-1))


METHOD = Method(
    name="gradcam_plus_plus",
    function=at_layer(gradcam_plus_plus),
    level="layer",
    multi_target=True,
    needs=frozenset({"gradients", "graph", "spatial_layer"}),
    summary="Where the features of a layer support the target, including several small objects",
    paper="Chattopadhay et al. 2018, eq. 19",
    cost="one forward pass, and one backward pass from the score to the layer.",
    limitations="uses positive gradients only, so features that count against the target can be highlighted too.",
)
