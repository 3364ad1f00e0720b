"""HiResCAM: the features times their gradients, element by element."""

from keras import ops

from keras_actmaps.core.types import Tensor
from keras_actmaps.methods.registry import Method, at_layer


def hirescam(features: Tensor, gradients: Tensor) -> Tensor:
    """L = relu(sum_k dY/dA^k * A^k), element by element (Draelos and Carin 2020).

    No gradient is averaged over space. On a network of global average pooling and a linear layer it is CAM without the
    bias, over h w.
    """
    return ops.relu(ops.sum(gradients * features, axis=-1))


METHOD = Method(
    name="hirescam",
    function=at_layer(hirescam),
    level="layer",
    multi_target=True,
    needs=frozenset({"gradients", "graph", "spatial_layer"}),
    summary="What each position of the features adds to the score to first order",
    paper="Draelos and Carin 2020",
    cost="one forward pass, and one backward pass from the score to the layer.",
    limitations="is faithful at the last convolution only; before it, gradients are noisy and so is the map.",
)
