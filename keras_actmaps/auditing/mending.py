"""Mending a model that relies on patches: images without them, weights of images, and projection at a layer."""

from typing import Any

import keras
import numpy as np

from keras_actmaps import backend
from keras_actmaps.auditing.hot_spots import cut, fill, paste
from keras_actmaps.auditing.observations import Judge
from keras_actmaps.core.batching import padded_batches
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel, features_only
from keras_actmaps.core.types import Array

BATCH, HOSTS = 32, 4


def masked(audit: Any, images: Any) -> Array:
    """See `Audit.mask`."""
    array = _images(audit, images)
    flagged = np.flatnonzero(audit.is_flagged)
    filled = array.copy()
    if len(flagged):
        filled[flagged] = fill(array[flagged], audit.places[flagged], audit.patch)
    return filled


def weights(audit: Any) -> Array:
    """See `Audit.weights`."""
    values = np.ones(len(audit))
    for label in {cluster.label for cluster in audit.flagged}:
        own = audit.predicted == label
        flagged = own & audit.is_flagged
        if flagged.sum() == own.sum():
            raise ValueError(f"all {own.sum()} images of class {label} are flagged, so that none is left to weigh more")
        values[flagged] = 0
        values[own & ~flagged] = own.sum() / (own.sum() - flagged.sum())
    return values


def flip_rate(audit: Any, model: Any, images: Any, seed: int = 0) -> float:
    """See `Audit.flip_rate`."""
    array, traced = _images(audit, images), as_traced(model)
    judge = Judge(traced, RunContext(BATCH, BATCH))
    predicted, random, flips = judge(array).argmax(axis=1), np.random.default_rng(seed), []
    for cluster in audit.flagged:
        members, hosts = audit.members(cluster), np.flatnonzero(predicted != cluster.label)
        for start in range(0, len(members) if len(hosts) else 0, BATCH):
            part = np.repeat(members[start : start + BATCH], HOSTS)
            patches = cut(array[part], audit.places[part], audit.patch)
            pasted = paste(array[random.choice(hosts, len(part))], patches, audit.places[part])
            flips.append(judge(pasted).argmax(axis=1) == cluster.label)
    return float(np.concatenate(flips).mean()) if flips else float("nan")


def without_artifact(audit: Any, model: keras.Model, images: Any, layer: str | None = None) -> keras.Model:
    """See `Audit.without_artifact`."""
    array = _images(audit, images)
    if not audit.flagged:
        raise ValueError("nothing is flagged, so that there is no direction to project out")
    traced = as_traced(model, layer)
    path = traced.require_one_layer("without_artifact")
    if path not in {one.name for one in model.layers}:
        raise ValueError(f"layer {path!r} is inside another layer; choose one of the layers of {model.name!r} itself")
    direction, mean = artifact_direction(audit, traced, array)
    rank = len(traced.graph.shapes[traced.graph.slot_of[path]])
    kernel = np.eye(len(direction)) - np.outer(direction, direction)
    kind = keras.layers.Conv2D if rank == 4 else keras.layers.Dense
    settings = {"kernel_size": 1} if rank == 4 else {}
    projection = kind(len(direction), name=f"{path}_without_artifact", trainable=False, **settings)

    def call(one: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        outputs = one(*args, **kwargs)
        return projection(outputs) if one.name == path else outputs

    functional = keras.Model(model.inputs[0], model.outputs[0], name=model.name)  # also of a Sequential
    mended = keras.models.clone_model(functional, clone_function=lambda one: one, call_function=call)
    projection.set_weights([kernel.reshape(projection.kernel.shape), (direction @ mean) * direction])
    return mended


def artifact_direction(audit: Any, traced: TracedModel, images: Array) -> tuple[Array, Array]:
    """The unit vector (C,) from the features of flagged images outside their hot spots to those inside, and the former.

    A feature counts as inside with the share of its cell that the hot spot covers.
    """
    flagged = np.flatnonzero(audit.is_flagged)
    sums, areas = np.zeros((2, traced.graph.shapes[traced.graph.slot_of[str(traced.layer)]][-1])), np.zeros((2, 1))
    for (batch, numbers), real in padded_batches([images[flagged], flagged], BATCH):
        targets = traced.validate_targets(None, len(batch))
        found, _, _ = traced.run(features_only, batch, targets, context=RunContext(BATCH, BATCH))
        features = backend.to_numpy(found)[:real].astype("float64")
        covered = np.stack([_coverage(audit, audit.places[number], features.shape[1:3]) for number in numbers[:real]])
        shares = np.stack([covered, 1 - covered])
        sums += np.einsum("snhw,nhwc->sc", shares, features)
        areas += shares.sum(axis=(1, 2, 3))[:, None]
    inside, mean = sums / areas
    change = inside - mean
    length = np.linalg.norm(change)
    if not length > 0:
        raise ValueError(f"the features of {traced.layer!r} are the same inside and outside the hot spots")
    return change / length, mean


def _coverage(audit: Any, place: Array, shape: tuple[int, int]) -> Array:
    """The share (h, w) of each cell of a feature map that a hot spot covers."""
    sides = []
    for start, length, side, cells in zip(place, audit.patch, audit.space, shape):
        edges = np.arange(cells + 1) * side / cells
        covered = np.minimum(edges[1:], start + length) - np.maximum(edges[:-1], start)
        sides.append(np.maximum(covered, 0) * cells / side)
    return np.outer(*sides)


def _images(audit: Any, images: Any) -> Array:
    """The images of the audit as float32; ValueError if they are not as many, or of another size."""
    array = np.asarray(backend.to_numpy(images), "float32")
    if array.ndim != 4 or len(array) != len(audit) or array.shape[1:3] != audit.space:
        raise ValueError(
            f"images of shape {array.shape} are not those of the audit, which are {len(audit)} images of "
            f"{audit.space[0]} x {audit.space[1]}, in their order"
        )
    return array
