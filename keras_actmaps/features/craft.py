"""CRAFT: the concepts of a class as parts of its images, and their importance for the score."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import cv2
import numpy as np

from keras_actmaps import backend
from keras_actmaps.core.attribution import Attribution
from keras_actmaps.core.batching import even_batch_size, iterate_batches, padded_batches
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.optional import require_sklearn
from keras_actmaps.core.resize import resize
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Ge, Le, Seed, Setting
from keras_actmaps.core.traced_model import TracedModel, features_only, outputs_only
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods.sobol import replicated_design, total_indices

PART, PER_SIDE = 3, 4  # the side of an image over that of a crop, and crops along a side
DESIGNS = 32  # rows of the Sobol design
EXEMPLARS = 8
_K = Setting("k", Annotated[int, Ge(2), Le(1000)], 10, "concepts")
_LIMIT = Setting("limit", Count, 64, "images")
_SEED = Setting("seed", Seed, 0, "seed of the random numbers")


@dataclass(frozen=True, eq=False)
class Concepts:
    """The concepts of a class, the most important first.

    Attributes
    ----------
    importance : float64 array of shape (k,)
        Total Sobol index of each concept for the logit, a mean over the images.
    maps : float32 array of shape (N, k, H, W)
        Where each concept is, on the images.
    directions : float32 array of shape (k, C)
        The features of each concept.
    exemplars : float32 array of shape (k, 8, h, w, C)
        The crops with the highest share of each concept.
    images : float32 array of shape (N, H, W, C)
        Images of the data set that are predicted as the class.
    target : int
    layer : str
    """

    importance: Array
    maps: Array
    directions: Array
    exemplars: Array
    images: Array
    target: int
    layer: str

    def __len__(self) -> int:
        return len(self.importance)


def concepts(
    model: Any,
    dataset: Iterable,
    target: int,
    layer: Any = None,
    k: int = 10,
    *,
    limit: int = 64,
    seed: int = 0,
    batch_size: int = 32,
) -> Concepts:
    """Concept recursive activation factorization, without the recursion (CRAFT, Fel et al. 2023, eq. 1 to 3).

    The mean features A of crops of images that are predicted as the class are factorized, A = U W with U, W >= 0. The
    importance of a concept is Jansen's estimate of its total Sobol index for the logit of an image whose features are
    replaced by U W, when each concept is scaled by a factor between 0 and 1.

    Parameters
    ----------
    model : keras.Model, torch.nn.Module or Probe
    dataset : iterable
        See `core.batching.iterate_batches`.
    target : int
        The class.
    layer : str, int or None
        A layer with a spatial output that is not negative; None is the last one with a spatial output.
    k : int
        Concepts, at least 2.
    limit : int
        Images of the class that are used, the first ones.
    seed : int
    batch_size : int

    Returns
    -------
    Concepts

    Raises
    ------
    ValueError
        For a layer with negative features, a data set without an image of the class, and inputs that do not fit.
    ImportError
        Without scikit-learn.

    Notes
    -----
    Cost: one forward pass of each image and of 16 crops of it, and 32 (k + 2) passes behind the layer.
    """
    k, limit, seed = _K.validate(k), _LIMIT.validate(limit), _SEED.validate(seed)
    require_sklearn("decomposition")
    traced = as_traced(model, layer)
    path = traced.require_one_layer("concepts")
    traced.validate_targets(target, 1)
    context = RunContext(batch_size, batch_size)
    images = _images_of_class(traced, dataset, target, limit, context)
    crops = _crops(images)
    rows = _run(traced, features_only, _resized(crops, images.shape[1:3]), context).mean(axis=(1, 2))
    features = _run(traced, features_only, images, context)
    if min(rows.min(), features.min()) < 0:
        raise ValueError(f"layer {path!r} has negative features, which cannot be factorized; choose one behind a ReLU")
    nmf = require_sklearn("decomposition").NMF(k, init="nndsvda", random_state=seed, max_iter=1000)
    shares = nmf.fit_transform(rows)
    directions = nmf.components_.astype("float32")
    flat = nmf.transform(features.reshape(-1, features.shape[-1])).astype("float32")
    presence = flat.reshape(*features.shape[:-1], k)
    importance = _importance(traced, images, presence, directions, target, seed, context)
    order = np.argsort(-importance, kind="stable")
    best = np.argsort(-shares, axis=0, kind="stable")[:EXEMPLARS].T[order]
    maps = resize(np.moveaxis(presence, -1, 1)[:, order], images.shape[1:3])
    return Concepts(importance[order], maps, directions[order], crops[best], images, int(target), path)


def _images_of_class(traced: TracedModel, dataset: Any, target: int, limit: int, context: RunContext) -> Array:
    """The first images that are predicted as a class; ValueError if there is none."""
    kept: list[Array] = []
    for batch, *_ in iterate_batches(dataset, len(traced.input_shape), context.batch_size):
        images = traced.validate_inputs(batch)
        size = even_batch_size(context.batch_size, len(images))
        for (part,), real in padded_batches([images], size):
            targets = traced.validate_targets(None, len(part))
            _, predicted, _ = traced.run(outputs_only, part, targets, context=context)
            kept.extend(part[:real][backend.to_numpy(predicted)[:real] == target])
        if len(kept) >= limit:
            break
    if not kept:
        raise ValueError(f"no image of the dataset is predicted as class {target}")
    return np.stack(kept[:limit])


def _crops(images: Array) -> Array:
    """Crops (16 N, h, w, C), of a third of the sides, at 4 x 4 places of each image."""
    size = [max(1, side // PART) for side in images.shape[1:3]]
    tops, lefts = (
        np.linspace(0, side - part, PER_SIDE).round().astype(int) for side, part in zip(images.shape[1:3], size)
    )
    parts = [images[:, top : top + size[0], left : left + size[1]] for top in tops for left in lefts]
    return np.stack(parts, axis=1).reshape(-1, *size, images.shape[-1])


def _resized(crops: Array, space: tuple[int, int]) -> Array:
    """Crops at the size of the images."""
    channels = crops.shape[-1]
    resized = [cv2.resize(crop, space[::-1], interpolation=cv2.INTER_LINEAR) for crop in crops]
    return np.stack(resized).reshape(len(crops), *space, channels)


def _importance(
    traced: TracedModel,
    images: Array,
    presence: Array,
    directions: Array,
    target: int,
    seed: int,
    context: RunContext,
) -> Array:
    """The total Sobol indices (k,), means over the images."""
    design = replicated_design(len(directions), DESIGNS, seed)
    found = []
    for image, shares in zip(images, presence):
        scores = []
        for (factors,), real in padded_batches([design], context.padded_size):
            features = (shares[None] * factors[:, None, None, :]) @ directions
            inputs = np.broadcast_to(image, (len(factors), *image.shape))
            targets = traced.validate_targets(target, len(factors))
            values, _, _ = traced.run(_behind_layer, np.ascontiguousarray(inputs), targets, features, context=context)
            scores.append(backend.to_numpy(values)[:real])
        found.append(total_indices(np.concatenate(scores)[None].astype("float64"), DESIGNS)[0])
    return np.mean(found, axis=0)


def _behind_layer(traced: TracedModel, inputs: Tensor, targets: Any, features: Tensor) -> Attribution:
    """The scores where the features of the layer are replaced."""
    values, (slot,), after = traced.split(inputs)
    outputs = traced.run_to_outputs(after, {**values, slot: features})
    return Attribution(traced.score(outputs, targets), outputs)


def _run(traced: TracedModel, function: Any, images: Array, context: RunContext) -> Array:
    """Values of images, in batches of one size."""
    parts = []
    for (batch,), real in padded_batches([images], context.padded_size):
        targets = traced.validate_targets(None, len(batch))
        parts.append(backend.to_numpy(traced.run(function, batch, targets, context=context)[0])[:real])
    return np.concatenate(parts)
