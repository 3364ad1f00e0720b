"""XGrad-CAM: Grad-CAM with gradients averaged in proportion to the features."""

from keras import ops

from keras_actmaps.core.attribution import spatial_axes
from keras_actmaps.core.types import Tensor
from keras_actmaps.methods.registry import Method, at_layer


def xgradcam(features: Tensor, gradients: Tensor) -> Tensor:
    """L = relu(sum_k w_k A^k) with w_k = sum_ij A_ij^k dY/dA_ij^k / sum_ij A_ij^k (Fu et al. 2020).

    Before the relu the map sums to sum A dY/dA. A channel whose features sum to 0 has the weight 0.
    """
    contributions = ops.sum(gradients * features, axis=spatial_axes(features), keepdims=True)
    weights = ops.divide_no_nan(contributions, ops.sum(features, axis=spatial_axes(features), keepdims=True))
    return ops.relu(ops.sum(weights * features, axis=-1))


METHOD = Method(
    name="xgradcam",
    function=at_layer(xgradcam),
    level="layer",
    multi_target=True,
    needs=frozenset({"gradients", "graph", "spatial_layer"}),
    summary="Grad-CAM with the weights that best conserve the score",
    paper="Fu et al. 2020",
    cost="one forward pass, and one backward pass from the score to the layer.",
    limitations="a channel with both signs, as at layers without a ReLU, can sum to nearly 0 and get a huge weight.",
)
