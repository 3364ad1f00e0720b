"""What stands where nothing is to be seen: black, the mean colour, a blur, a number or an image of one's own."""

from collections.abc import Callable

import numpy as np

from keras_actmaps import engine
from keras_actmaps.methods.kinds import scores_only

BASELINES = ("zero", "mean", "blur")
BLUR = 0.1  # the standard deviation of the blur, in sides of the image


def gain_over(setting: str) -> Callable:
    """What maps of a method sum to, for `sums_to`: the score minus that of the baseline which a setting names."""

    def expected(probe, images, targets, scores, settings):
        start = np.ascontiguousarray(baseline_for(images, settings[setting]))
        return scores - engine.to_numpy(probe.ask(scores_only, start, targets)[2])

    return expected


def baseline_for(images: np.ndarray, baseline="zero") -> np.ndarray:
    """Images like `images` (N,...,C) without what is in them; each depends on its own image only.

    baseline: "zero"; "mean", each channel's mean over the image; "blur", by a Gaussian a tenth of each side wide; a
    number; or an array that is one such image or broadcasts to one. Raises ValueError for anything else.
    """
    if isinstance(baseline, str):
        if baseline not in BASELINES:
            raise ValueError(f"no baseline {baseline!r}; there are: {', '.join(BASELINES)}, a number or an array")
        return {"zero": np.zeros_like, "mean": _mean, "blur": _blur}[baseline](images)
    try:
        given = np.broadcast_to(np.asarray(baseline, "float32"), images.shape[1:])
    except (ValueError, TypeError):
        raise ValueError(
            f"a baseline of shape {np.shape(baseline)} and type {type(baseline).__name__} is no image "
            f"{images.shape[1:]}; give {', '.join(BASELINES)}, a number or an array"
        ) from None
    if not np.isfinite(given).all():
        raise ValueError("the baseline holds NaN or Inf")
    return np.broadcast_to(given, images.shape)


def _mean(images: np.ndarray) -> np.ndarray:
    axes = tuple(range(1, max(images.ndim - 1, 2)))
    return np.broadcast_to(images.mean(axis=axes, keepdims=True), images.shape)


def _blur(images: np.ndarray) -> np.ndarray:
    if images.ndim == 2:
        raise ValueError("a table has no neighbours to blur; give the baseline 'zero', 'mean', a number or an array")
    for axis in range(1, images.ndim - 1):
        images = np.moveaxis(np.moveaxis(images, axis, -1) @ _gaussian(images.shape[axis]), -1, axis)
    return images


def _gaussian(side: int) -> np.ndarray:
    """The matrix (side, side) that blurs a row; at the borders the weights still sum to 1."""
    places = np.arange(side, dtype="float32")
    weights = np.exp(-0.5 * ((places[:, None] - places) / (BLUR * side)) ** 2)
    return weights / weights.sum(axis=0)
