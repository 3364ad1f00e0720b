"""Expected gradients: integrated gradients, averaged over many baselines."""

import numpy as np

from keras_actmaps import engine
from keras_actmaps.methods.kinds import (
    accumulate,
    check_channels,
    check_count,
    check_seed,
    many_passes,
    reduced,
    sampled,
    scores_only,
    sums_to,
)
from keras_actmaps.methods.saliency import saliency

GOLDEN = (np.sqrt(5) - 1) / 2  # its multiples, modulo 1, lie evenly however many there are


def _check(probe, images, *, baselines, samples, seed, channels):
    check_count("samples", samples)
    check_seed(seed)
    check_channels(channels)
    if baselines is None and images.ndim == 2:
        raise ValueError("the features of a table cannot be put in another order; give baselines (B,F), as rows of it")
    if baselines is None:
        return
    given = np.asarray(baselines)
    if given.shape[1:] != images.shape[1:] or not len(given) or not np.issubdtype(given.dtype, np.number):
        raise ValueError(f"baselines of shape {given.shape} and type {given.dtype} are no images (B, "
                         f"{', '.join(map(str, images.shape[1:]))})")  # fmt: skip
    if not np.isfinite(given).all():
        raise ValueError("the baselines hold NaN or Inf")


def _expected(probe, images, targets, scores, settings):
    """Completeness in the mean: the score minus the mean score of the baselines drawn."""
    draw, _ = _drawn(images, settings["baselines"], settings["samples"], settings["seed"])
    total = np.zeros(len(images))
    everything = np.arange(len(images))
    for which, _, found, _ in sampled(probe, everything, targets, settings["samples"], draw, scores_only):
        accumulate(total, which, found)
    return scores - (total / settings["samples"]).astype("float32")


@sums_to(_expected)
@many_passes(_check)
def expected_gradients(probe, images, targets, *, baselines=None, samples=100, seed=0, channels="sum"):
    """The part of each pixel in the score's rise from what might be there (Erion et al. 2021).

    S = sum_c mean_s (x - x_s) dY/dx (x_s + a_s (x - x_s)), with baselines x_s drawn at random and one place a_s on each
    path, evenly spread over 0 to 1 by the golden ratio. It sums to Y(x) - mean_s Y(x_s) but for chance; what is missing
    is the residual. images (N,H,W,C) -> (N,H,W).

    baselines: images (B,H,W,C), as some of the training set. None: the image's own pixels in random order, which have
    its colours but not its shapes and ask for no other image. channels: "sum", "max" of the absolute values, or "keep".
    Cost: `samples` forward and backward passes, and as many forward passes for the residual.
    Fails: is noisy with few samples; depends on the baselines, and ones unlike real images mislead.
    """
    draw, places = _drawn(images, baselines, samples, seed)
    places = places.reshape(-1, *(1,) * (images.ndim - 1))
    total = np.zeros(images.shape)

    def between(which, sample):
        start = draw(which, sample)
        return start + places[sample] * (images[which] - start)

    everything = np.arange(len(images))
    for which, sample, gradients, _ in sampled(
        probe, everything, targets, samples, between, saliency.program, channels="keep"
    ):
        accumulate(total, which, (images[which] - draw(which, sample)) * gradients)
    return engine.to_numpy(reduced((total / samples).astype("float32"), channels))


def _drawn(images, baselines, samples: int, seed: int):
    """(which image, which sample) -> the baseline of each, and the place of each sample on its path."""
    random = np.random.default_rng(seed)
    places = ((random.random() + GOLDEN * np.arange(samples)) % 1).astype("float32")
    if baselines is not None:
        given = np.asarray(baselines, "float32")
        order = np.sort(np.resize(random.permutation(len(given)), samples))
        return (lambda which, sample: given[order[sample]]), places

    def shuffled(which, sample):
        pixels = images.reshape(len(images), -1, images.shape[-1])
        rows = [np.random.default_rng([seed, s]).permutation(pixels[i]) for i, s in zip(which, sample)]
        return np.stack(rows).reshape(-1, *images.shape[1:])

    return shuffled, places
