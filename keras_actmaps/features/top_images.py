"""The real images that units score highest: what an ascent has to beat."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.batching import iterate_batches, padded_batches
from keras_actmaps.core.cache import as_traced
from keras_actmaps.features.units import activations, find_units


@dataclass(frozen=True, eq=False)
class TopImages:
    """Of each of K units the real image (K,H,W,C) that it scores highest, the score (K,), and its place (K,).

    count: of how many images. median: of the values of the first of them.
    """

    images: np.ndarray
    scores: np.ndarray
    indices: np.ndarray
    count: int
    median: float


def top_images(model, dataset: Iterable, targets, layer=None, batch_size: int = 64) -> TopImages:
    """The best images of a data set for the targets, as `ascent` takes these; of equal scores the first.

    dataset: see `streams.gathered`. Cost: one forward pass of each image, in flat memory.
    """
    probe = as_traced(model, layer)
    best = None
    for images, *_ in iterate_batches(dataset, len(probe.input_shape), batch_size):
        images = probe.validate_inputs(images)
        if best is None:
            size, units = len(images), find_units(probe, targets, layer is not None, images[:1])
            lowest = np.full(len(units.places), -np.inf, "float32")
            best = TopImages(np.repeat(images[:1], len(lowest), axis=0), lowest, np.zeros(len(lowest), "int64"), 0,
                        float(np.median(images)))  # fmt: skip
        for (batch,), real in padded_batches([images], size):
            best = _better(best, batch[:real], _scores(probe, units, batch)[:real])
    if best is None:
        raise ValueError("the dataset holds no images")
    return best


def _scores(probe, units, images) -> np.ndarray:
    """The scores (N,K) of the units."""

    def scores(images, places):
        return ops.take(activations(probe, images, units.kind), places, axis=1)

    return backend.to_numpy(probe.program((top_images, units.kind), scores)(images, units.places))


def _better(best: TopImages, images: np.ndarray, scores: np.ndarray) -> TopImages:
    """The best of what is known and of more images."""
    here = scores.argmax(axis=0)
    highest = scores.max(axis=0)
    found = highest > best.scores
    return TopImages(
        np.where(found[:, None, None, None], images[here], best.images),
        np.where(found, highest, best.scores),
        np.where(found, best.count + here, best.indices),
        best.count + len(images),
        best.median,
    )
