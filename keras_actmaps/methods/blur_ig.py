"""Blur integrated gradients: the gradient along the way from a blurred image to the sharp one."""

import functools

import numpy as np

from keras_actmaps import engine
from keras_actmaps.methods.kinds import (
    accumulate,
    check_channels,
    check_count,
    many_passes,
    reduced,
    sampled,
    scores_only,
    sums_to,
)
from keras_actmaps.methods.saliency import saliency


def _check(probe, images, *, sigma, steps, channels):
    check_count("steps", steps)
    check_channels(channels)
    if images.ndim == 2:
        raise ValueError("a table has no neighbours to blur; integrated_gradients works there")
    if not isinstance(sigma, (int, float, np.number)) or not 0 < sigma < np.inf:
        raise ValueError(f"sigma={sigma!r} blurs nothing; give a share of the longest side above 0, as 0.2")


def _difference(probe, images, targets, scores, settings):
    """Completeness: the score minus that of the most blurred image."""
    most = settings["sigma"] * max(images.shape[1:-1])
    return scores - engine.to_numpy(probe.ask(scores_only, blurred(images, most), targets)[2])


@sums_to(_difference)
@many_passes(_check)
def blur_ig(probe, images, targets, *, sigma=0.2, steps=64, channels="sum"):
    """The part of each pixel in the score's rise while the image comes into focus (Xu et al. 2020).

    S = sum_c sum_s dY/dx (L((b_s + b_s+1) / 2)) (L(b_s+1) - L(b_s)), with L(b) the image blurred by a Gaussian of
    standard deviation b, from sigma times the longest side down to 0. It sums to Y(x) - Y(L(b_0)); what is missing is
    the residual. No colour stands for nothing, as a baseline's does. images (N,H,W,C) -> (N,H,W).

    sigma: the strongest blur, in longest sides; the paper takes 50 pixels. channels: "sum", "max" of the absolute
    values, or "keep".
    Cost: `steps` forward and backward passes.
    Fails: finds what has an outline; what a blur does not change, as a large plain area, gets little.
    """
    blurs = sigma * max(images.shape[1:-1]) * np.linspace(1, 0, steps + 1) ** 2
    middles = (blurs[1:] + blurs[:-1]) / 2
    total = np.zeros(images.shape)

    def focused(which, sample):
        return _each(images, which, middles[sample])

    everything = np.arange(len(images))
    for which, sample, gradients, _ in sampled(
        probe, everything, targets, steps, focused, saliency.program, channels="keep"
    ):
        gained = _each(images, which, blurs[sample + 1]) - _each(images, which, blurs[sample])
        accumulate(total, which, gained * gradients)
    return engine.to_numpy(reduced(total.astype("float32"), channels))


def blurred(images: np.ndarray, deviation: float) -> np.ndarray:
    """images (N,...,C) under a Gaussian of this standard deviation in pixels, mirrored at the borders."""
    for axis in range(1, images.ndim - 1):
        rows = np.moveaxis(images, axis, -1) @ _diffusion(images.shape[axis], float(deviation))
        images = np.moveaxis(rows, -1, axis)
    return images


def _each(images: np.ndarray, which: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Each of the images `which`, (M,...,C), under its own blur."""
    rows = np.empty((len(which), *images.shape[1:]), "float32")
    for deviation in np.unique(deviations):
        chosen = deviations == deviation
        rows[chosen] = blurred(images[which[chosen]], deviation)
    return rows


@functools.lru_cache(maxsize=512)
def _diffusion(side: int, deviation: float) -> np.ndarray:
    """The matrix (side, side) of heat flowing along a row of pixels: the Gaussian of discrete scale space.

    Unlike a sampled Gaussian it never creates an extremum, keeps the sum, and is right below a pixel (Lindeberg 1990).
    """
    order = np.arange(side)
    modes = np.cos(np.pi * (order[:, None] + 0.5) * order / side) * np.sqrt(np.where(order, 2, 1) / side)
    decays = np.exp(-(deviation**2) * (1 - np.cos(np.pi * order / side)))
    return ((modes * decays) @ modes.T).astype("float32")
