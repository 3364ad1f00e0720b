"""SmoothGrad: the mean attribution of an image with noise."""

from keras_actmaps.methods import noise as around
from keras_actmaps.methods.kinds import many_passes


@many_passes(around.check)
def smoothgrad(probe, images, targets, *, of="saliency", samples=50, noise=0.15, seed=0, channels=None):
    """The attribution, averaged over noise that people do not see (Smilkov et al. 2017).

    S = mean_s M(x + e_s), e_s from N(0, (noise * (max x - min x))^2). The signed attributions are averaged, then their
    channels are reduced. images (N,H,W,C) -> (N,H,W).

    of: the method M, by name or as a function. samples: how many draws; the same noise for every image.
    noise: in value ranges of the image; the paper takes 0.1 to 0.2. channels: None = as `of` does it by itself.
    Cost: `samples` times that of the method.
    Fails: strong noise leaves the images the model knows, and blurs the map more than it cleans it.
    """
    mean, _ = around.moments(probe, images, targets, of, samples, noise, seed)
    return around.as_maps(mean, of, channels)
