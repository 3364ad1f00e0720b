"""Projections: what in an image excited a unit, traced back by a deconvolutional network."""

from dataclasses import replace

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.batching import even_batch_size, padded_batches
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.graph import Node, run_nodes
from keras_actmaps.core.layer_types import layer_type
from keras_actmaps.core.rewrite import split_activations
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.features.receptive_field import receptive_field
from keras_actmaps.features.topk import Exemplars
from keras_actmaps.methods.rules.relu import deconvnet, with_relu

TOLERANCE = 1e-3  # of the highest score, within which an image must give its score again


def projections(model, found: Exemplars, images: np.ndarray, batch_size: int = 64) -> np.ndarray:
    """What excited the unit of each exemplar, float32 like the images (Zeiler & Fergus 2014, section 2.1).

    All of the layer but the one unit is set to 0; the activation of the unit is passed back through the transposed
    layers, the switches of max pooling and, wherever there was a ReLU, another ReLU. Of a mean over space, all units of
    the channel are passed back.

    images: (channels, k, H, W, C), as `fetch` gives them. Raises ValueError where there are
    activations below the layer and none is a ReLU, and for images that do not give their scores again.
    Cost: one forward and one backward pass, up to the layer, of each exemplar.
    """
    probe = as_traced(model)
    program = _program(probe, found.layer)
    flat = [found.channels.repeat(found.scores.shape[1]), found.scores.ravel(), found.indices.ravel()]
    places = np.zeros((found.scores.size, 0)) if found.places is None else found.places
    arrays = [images.reshape(-1, *images.shape[2:]), places.reshape(found.scores.size, -1).astype("int32"), *flat]
    parts, close = [], TOLERANCE * np.abs(found.scores).max()
    for (batch, at, channels, scores, indices), real in padded_batches(arrays, even_batch_size(batch_size, len(arrays[0]))):
        maps, again = (backend.to_numpy(part)[:real] for part in program(batch, at, channels.astype("int32")))
        wrong = np.abs(again - scores[:real]) > close
        if wrong.any():
            one = int(wrong.argmax())
            raise ValueError(f"image {indices[one]} gives channel {channels[one]} {again[one]:.4g}, not "
                             f"{scores[one]:.4g}; is the dataset shuffled when it is read again?")  # fmt: skip
        parts.append(maps)
    return np.concatenate(parts).reshape(images.shape)


def boxes(model, found: Exemplars, space: tuple[int, ...]) -> list[list[tuple[slice, ...]]]:
    """The receptive field of the unit of each exemplar, in images of this space; all of it for a mean over space."""
    probe = as_traced(model)
    slot = probe.graph.slot_of[found.layer]
    if found.places is None:
        return [[tuple(slice(0, side) for side in space)] * found.scores.shape[1] for _ in found.channels]
    known = {place: receptive_field(probe.graph, slot, place, space)
             for place in map(tuple, found.places.reshape(-1, found.places.shape[-1]).tolist())}  # fmt: skip
    return [[known[tuple(place)] for place in row] for row in found.places.tolist()]


def _program(probe: TracedModel, path: str):
    """(images, places (N, axes), channels (N,)) -> what excited the units at these places, and how much it did.

    With places of no axes, the units of the channel at all places, and their mean.
    """
    slot = probe.graph.slot_of[path]
    steps = _steps(probe, path)

    def project(images, places, channels):
        (features,), back = backend.vjp(lambda x: [run_nodes(steps, {probe.graph.inputs[0]: x})[slot]], [images])
        count, *space, depth = features.shape
        mask = ops.reshape(ops.one_hot(channels, depth), (count, *(1 for _ in space), depth))
        for axis in range(places.shape[1]):
            row = ops.one_hot(places[:, axis], space[axis])
            mask = mask * ops.reshape(row, (count, *(side if n == axis else 1 for n, side in enumerate(space)), 1))
        seed = features * ops.cast(mask, features.dtype)
        summed = ops.sum(ops.reshape(seed, (count, -1)), axis=1)
        return back([seed])[0], summed if places.shape[1] else summed / int(np.prod(space))

    return probe.program((projections, path), project)


def _steps(probe: TracedModel, path: str) -> tuple[Node, ...]:
    """The steps up to the layer, with a deconvolutional network's backward pass; ValueError where that cannot be."""
    steps = probe.graph.ancestors([probe.graph.slot_of[path]])
    graph = split_activations(replace(probe.graph, steps=steps))
    if not any(layer_type(step) == "activation" for step in graph.nodes):
        return graph.nodes
    return with_relu(graph, deconvnet, probe.name, "the projection by a deconvolutional network")
