"""Saliency: the gradient at the input."""

from keras_actmaps.methods.kinds import compiled, reduced


@compiled
def saliency(probe, images, targets, *, channels="max"):
    """How strongly each pixel moves the score (Simonyan et al. 2014, section 3): max_c |dY/dx_c|.

    channels: "max" (of the absolute values, as in the paper), "sum", or "keep" for the signed gradients.
    images (N,H,W,C) -> (N,H,W).
    Cost: one forward and one backward pass.
    Fails: is noisy, and says what would change the score, not what has made it.
    """
    return reduced(probe.gradients(images, targets), channels)
