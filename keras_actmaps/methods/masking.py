"""What the perturbation methods share: the scores of images of which only a part is kept."""

import numbers
from collections.abc import Callable

import numpy as np

from keras_actmaps.methods.baselines import baseline_for
from keras_actmaps.methods.kinds import sampled, scores_only


def masked_scores(
    probe, images: np.ndarray, targets, samples: int, masks: Callable, fill, program: Callable = scores_only, **settings
) -> np.ndarray:
    """The scores (N, samples) of `samples` variants of each image: kept * image + (1 - kept) * fill.

    masks: (which image (M,), which sample (M,)) -> how much of each place is kept, (M,H,W), all channels alike.
    fill: see `baseline_for`. program, settings: what gives the scores, as in `Probe.ask`.
    """
    below = baseline_for(images, fill)
    scores = np.empty((len(images), samples))

    def perturb(which, sample):
        kept = masks(which, sample).astype("float32", copy=False)
        kept = kept.reshape(*kept.shape, *(1,) * (images.ndim - kept.ndim))
        return kept * images[which] + (1 - kept) * below[which]

    everything = np.arange(len(images))
    for which, sample, found, _ in sampled(probe, everything, targets, samples, perturb, program, **settings):
        scores[which, sample] = found
    return scores


def space_of(images: np.ndarray) -> tuple[int, ...]:
    """The shape of a map of these images: (H, W) for images, (T,) for sequences, (F,) for tables."""
    shape = tuple(images.shape[1:])
    return shape[:-1] or shape


def per_axis(name: str, value, space: tuple[int, ...]) -> tuple[int, ...]:
    """A setting that is one whole number, or one for each axis of space -> one for each axis; ValueError otherwise."""
    given = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else (value,) * len(space)
    if len(given) != len(space) or not all(isinstance(one, (int, np.integer)) and one >= 1 for one in given):
        raise ValueError(f"{name}={value!r} does not fit maps {space}; give 1 or more, or so for each axis")
    return tuple(map(int, given))


def check_share(name: str, value) -> None:
    """ValueError for anything but a number between 0 and 1."""
    if not isinstance(value, numbers.Real) or not 0 < value < 1:
        raise ValueError(f"{name}={value!r} is not between 0 and 1")
