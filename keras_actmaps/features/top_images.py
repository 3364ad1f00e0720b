"""The real images with the highest scores, to which the images of gradient ascent are compared."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.batching import iterate_batches, padded_batches, refuse_inputs_as_labels
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.core.validation import validate_batch_size
from keras_actmaps.features.objectives import Objectives, activations, find_objectives


@dataclass(frozen=True, eq=False)
class TopImages:
    """For each of K objectives the image with the highest score.

    Attributes
    ----------
    images : array of shape (K, H, W, C)
    scores : array of shape (K,)
    indices : array of shape (K,)
        Positions of the images in the data set.
    count : int
        Number of images in the data set.
    median : float
        Median value of the first batch of images.
    """

    images: Array
    scores: Array
    indices: Array
    count: int
    median: float


def top_images(model: Any, dataset: Iterable, targets: Any, layer: Any = None, batch_size: int = 64) -> TopImages:
    """The images of a data set with the highest scores for targets, the first in case of ties.

    Parameters
    ----------
    model, targets, layer
        As for `ascent`.
    dataset : iterable
        See `core.batching.iterate_batches`.
    batch_size : int
        Maximum number of images in memory at a time.

    Returns
    -------
    TopImages

    Raises
    ------
    ValueError
        As `ascent` does, and for a data set without images.

    Notes
    -----
    Cost: one forward pass of each image, in constant memory.
    """
    validate_batch_size(batch_size)
    traced = as_traced(model, layer)
    top, objectives = None, None
    for batch, labels, _ in iterate_batches(dataset, len(traced.input_shape), batch_size):
        refuse_inputs_as_labels(batch, labels, traced.classes)
        images = traced.validate_inputs(batch)
        if top is None or objectives is None:
            size, objectives = len(images), find_objectives(traced, targets, layer is not None, images[:1])
            top = _initial(images, len(objectives.indices))
        for (part,), real in padded_batches([images], size):
            top = _merge(top, part[:real], _scores(traced, objectives, part)[:real])
    if top is None:
        raise ValueError("the dataset has no images")
    return top


def _initial(images: Array, count: int) -> TopImages:
    """The result before any image; `images` is the first batch."""
    scores, indices = np.full(count, -np.inf, "float32"), np.zeros(count, "int64")
    return TopImages(np.repeat(images[:1], count, axis=0), scores, indices, 0, float(np.median(images)))


def _scores(traced: TracedModel, objectives: Objectives, images: Array) -> Array:
    """The scores (N, K) of the objectives."""

    def scores(images: Tensor, indices: Tensor) -> Tensor:
        return ops.take(activations(traced, images, objectives.level), indices, axis=1)

    return backend.to_numpy(traced.program((top_images, objectives.level), scores)(images, objectives.indices))


def _merge(top: TopImages, images: Array, scores: Array) -> TopImages:
    """The result with one more batch of images and their scores (N, K)."""
    first_best, highest = scores.argmax(axis=0), scores.max(axis=0)
    is_higher = highest > top.scores
    return TopImages(
        np.where(is_higher[:, None, None, None], images[first_best], top.images),
        np.where(is_higher, highest, top.scores),
        np.where(is_higher, top.count + first_best, top.indices),
        top.count + len(images),
        top.median,
    )
