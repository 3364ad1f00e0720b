"""HiResCAM: the features times their gradients, place by place."""

from keras import ops

from keras_actmaps.methods.kinds import at_layer


@at_layer
def hirescam(features, gradients):
    """What each place of the features adds to the score to first order (Draelos and Carin 2020).

    L = relu(sum_k dY/dA^k * A^k), element by element: no gradient is averaged over space. On a network of global
    average pooling and a linear layer it is CAM without the bias, over h w. images (N,H,W,C) -> (N,h,w).
    Cost: one forward pass, and one backward pass from the score to the layer.
    Fails: is faithful at the last convolution only; before it, gradients are noisy and so is the map.
    """
    return ops.relu(ops.sum(gradients * features, axis=-1))
