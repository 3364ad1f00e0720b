"""SquareGrad: the mean squared attribution of an image with noise."""

from keras_actmaps.methods import noise as around
from keras_actmaps.methods.kinds import many_passes


@many_passes(around.check)
def squaregrad(probe, images, targets, *, of="saliency", samples=50, noise=0.15, seed=0, channels=None):
    """How large the attribution is around an image, of whichever sign (Hooker et al. 2019).

    S = mean_s M(x + e_s)^2, e_s as in SmoothGrad; channels are reduced last. images (N,H,W,C) -> (N,H,W).

    of, samples, noise, seed, channels: as for `smoothgrad`.
    Cost: `samples` times that of the method.
    Fails: has no sign; squaring makes a few pixels outshine all others.
    """
    _, square = around.moments(probe, images, targets, of, samples, noise, seed)
    return around.as_maps(square, of, channels)
