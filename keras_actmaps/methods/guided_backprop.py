"""Guided backpropagation: the gradient at the image, through ReLUs that pass positive gradients only."""

from keras_actmaps.methods.kinds import compiled, reduced
from keras_actmaps.rules.backward import guided, with_relu


@compiled
def guided_backprop(probe, images, targets, *, channels="sum"):
    """The gradient that ReLUs let through where it is positive and they are on (Springenberg et al. 2015, section 3.4).

    R_l = 1[x_l > 0] 1[R_l+1 > 0] R_l+1 at each ReLU. images (N,H,W,C) -> (N,H,W).

    ReLU counts as a layer, as an operation and as `activation=`; ReLU6, leaky and thresholded ReLU keep their slopes;
    other activations (sigmoid, silu, ...) keep their gradient. channels: "sum", "max" of the absolute values, "keep".
    Raises ValueError for a model without ReLU.
    Cost: 1 forward and backward pass.
    Fails: it paints edges of the image, much the same for every class and for random upper layers.
    """
    steps = with_relu(probe.need_graph(), guided, probe.name, "guided_backprop")
    return reduced(probe.gradients(images, targets, steps), channels)
