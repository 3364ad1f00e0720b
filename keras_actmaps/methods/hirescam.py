"""HiResCAM: the elementwise product of features and gradients."""

from keras import ops

from keras_actmaps.core.types import Tensor
from keras_actmaps.methods.registry import Method, at_layer


def hirescam(features: Tensor, gradients: Tensor) -> Tensor:
    """L = relu(sum_k dY/dA^k * A^k), an elementwise product (Draelos and Carin 2020).

    No gradient is averaged over space. For a network of global average pooling and a linear layer it is CAM without the
    bias, divided by h w.
    """
    return ops.relu(ops.sum(gradients * features, axis=-1))


METHOD = Method(
    name="hirescam",
    function=at_layer(hirescam),
    level="layer",
    multi_target=True,
    needs=frozenset({"gradients", "graph", "spatial_layer"}),
    summary="The contribution of each position of the features to the score, to first order",
    paper="Draelos and Carin 2020",
    cost="one forward pass, and one backward pass from the score to the layer.",
    limitations="faithful at the last convolution only; noisy at earlier layers, like their gradients.",
)
