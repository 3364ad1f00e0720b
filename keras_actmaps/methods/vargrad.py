"""VarGrad: the variance of the attribution of an image with noise."""

import numpy as np

from keras_actmaps.methods import noise as around
from keras_actmaps.methods.kinds import many_passes


@many_passes(around.check)
def vargrad(probe, images, targets, *, of="saliency", samples=50, noise=0.15, seed=0, channels=None):
    """How much the attribution changes around an image (Adebayo et al. 2018).

    S = mean_s M(x + e_s)^2 - (mean_s M(x + e_s))^2, e_s as in SmoothGrad; channels are reduced last.
    images (N,H,W,C) -> (N,H,W).

    of, samples, noise, seed, channels: as for `smoothgrad`.
    Cost: `samples` times that of the method.
    Fails: has no sign, and is 0 where the model is linear, however much such a place matters.
    """
    mean, square = around.moments(probe, images, targets, of, samples, noise, seed)
    return around.as_maps(np.maximum(square - mean**2, 0), of, channels)
