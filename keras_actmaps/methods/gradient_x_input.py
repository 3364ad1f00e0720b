"""Gradient x input: what each pixel adds to the score, to first order."""

from keras_actmaps.methods.kinds import compiled, reduced


@compiled
def gradient_x_input(probe, images, targets, *, channels="sum"):
    """The gradient at each pixel times the pixel (Shrikumar et al. 2017, section 2.2): sum_c x_c dY/dx_c.

    On a network of ReLUs without biases it sums to the score. channels: "sum", "max" of the absolute values, or "keep".
    images (N,H,W,C) -> (N,H,W).
    Cost: one forward and one backward pass.
    Fails: a black pixel gets nothing however much it matters; as noisy as the gradient.
    """
    return reduced(images * probe.gradients(images, targets), channels)
