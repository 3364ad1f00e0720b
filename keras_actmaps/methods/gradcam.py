"""Grad-CAM: the features weighted by their mean gradient."""

from keras import ops

from keras_actmaps.core.attribution import spatial_axes
from keras_actmaps.core.types import Tensor
from keras_actmaps.methods.registry import Method, at_layer


def gradcam(features: Tensor, gradients: Tensor) -> Tensor:
    """L = relu(sum_k a_k A^k) with a_k = mean_ij dY/dA_ij^k (Selvaraju et al. 2017, eq. 1 and 2)."""
    weights = ops.mean(gradients, axis=spatial_axes(features), keepdims=True)
    return ops.relu(ops.sum(weights * features, axis=-1))


METHOD = Method(
    name="gradcam",
    function=at_layer(gradcam),
    level="layer",
    multi_target=True,
    needs=frozenset({"gradients", "graph", "spatial_layer"}),
    summary="Where the features of a layer support the target",
    paper="Selvaraju et al. 2017, eq. 1 and 2",
    cost="one forward pass, and one backward pass from the score to the layer.",
    limitations="averages gradients over all positions, so maps of layers before the last can mislead.",
)
