"""Projections of a unit's activation back to the image by a deconvolutional network."""

from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.batching import even_batch_size, padded_batches
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.graph import Node, run_nodes
from keras_actmaps.core.layer_types import layer_type
from keras_actmaps.core.rewrite import split_activations
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.features.receptive_field import Box, receptive_field
from keras_actmaps.features.topk import Exemplars
from keras_actmaps.methods.rules.relu import deconvnet_relu, with_relu

TOLERANCE = 1e-3  # largest difference of a recomputed score, relative to the highest score


def deconv_projections(model: Any, found: Exemplars, images: Array, batch_size: int = 64) -> Array:
    """Projections of the unit's activation in each exemplar to the image (Zeiler and Fergus 2014, section 2.1).

    All activations of the layer except that of the unit are set to 0. The remaining one is projected through the
    transposed layers, the switches of max pooling and, at each ReLU, another ReLU. For a mean over space, all units of
    the channel are projected.

    Parameters
    ----------
    model : keras.Model, torch.nn.Module or Probe
    found : Exemplars
    images : array of shape (channels, k, H, W, C)
        As `fetch_images` returns them.
    batch_size : int
        Maximum number of images in memory at a time.

    Returns
    -------
    array of shape (channels, k, H, W, C)
        float32.

    Raises
    ------
    ValueError
        If there are activations below the layer and none is a ReLU, and for images whose scores differ from those of
        the exemplars.

    Notes
    -----
    Cost: one forward and one backward pass, up to the layer, of each exemplar.
    """
    traced = as_traced(model)
    program = _program(traced, found.layer)
    count = found.scores.size
    places = np.zeros((count, 0)) if found.places is None else found.places
    channels = found.channels.repeat(found.scores.shape[1])
    flat = [images.reshape(-1, *images.shape[2:]), places.reshape(count, -1).astype("int32"), channels.astype("int32")]
    parts, scores = [], []
    for batch, real in padded_batches(flat, even_batch_size(batch_size, count)):
        projections, recomputed = program(*batch)
        parts.append(backend.to_numpy(projections)[:real])
        scores.append(backend.to_numpy(recomputed)[:real])
    _require_same_scores(found, np.concatenate(scores), channels)
    return np.concatenate(parts).reshape(images.shape)


def receptive_fields(model: Any, found: Exemplars, space: tuple[int, ...]) -> list[list[Box]]:
    """The receptive field of each exemplar's unit in images of this space; the whole image for a mean over space."""
    traced = as_traced(model)
    slot = traced.graph.slot_of[found.layer]
    if found.places is None:
        return [[tuple(slice(0, side) for side in space)] * found.scores.shape[1] for _ in found.channels]
    distinct = set(map(tuple, found.places.reshape(-1, found.places.shape[-1]).tolist()))
    known = {place: receptive_field(traced.graph, slot, place, space) for place in distinct}
    return [[known[tuple(place)] for place in row] for row in found.places.tolist()]


def _require_same_scores(found: Exemplars, recomputed: Array, channels: Array) -> None:
    """ValueError if the images' scores differ from those of the exemplars."""
    scores = found.scores.ravel()
    wrong = np.abs(recomputed - scores) > TOLERANCE * np.abs(scores).max()
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"image {found.indices.ravel()[row]} has score {recomputed[row]:.4g} for channel {channels[row]}, not "
            f"{scores[row]:.4g}; is the dataset shuffled when it is read again?"
        )


def _program(traced: TracedModel, path: str) -> Any:
    """(images, places (N, axes), channels (N,)) -> projections of the units at these places, and their activations.

    With places of no axes, all units of the channel, and their mean.
    """
    slot = traced.graph.slot_of[path]
    nodes = _deconvnet_nodes(traced, path)

    def project(images: Tensor, places: Tensor, channels: Tensor) -> tuple[Tensor, Tensor]:
        (features,), pull_back = backend.vjp(lambda x: [run_nodes(nodes, {traced.graph.inputs[0]: x})[slot]], [images])
        count, *space, depth = features.shape
        mask = ops.reshape(ops.one_hot(channels, depth), (count, *(1 for _ in space), depth))
        for axis in range(places.shape[1]):
            row = ops.one_hot(places[:, axis], space[axis])
            mask = mask * ops.reshape(row, (count, *(side if n == axis else 1 for n, side in enumerate(space)), 1))
        seed = features * ops.cast(mask, features.dtype)
        total = ops.sum(ops.reshape(seed, (count, -1)), axis=1)
        return pull_back([seed])[0], total if places.shape[1] else total / int(np.prod(space))

    return traced.program((deconv_projections, path), project)


def _deconvnet_nodes(traced: TracedModel, path: str) -> tuple[Node, ...]:
    """The nodes up to the layer, with the backward pass of a deconvolutional network.

    Raises ValueError if there are activations and none is a ReLU.
    """
    slot = traced.graph.slot_of[path]
    graph = split_activations(replace(traced.graph, nodes=traced.graph.ancestors([slot]), outputs=slot))
    if not any(layer_type(node) == "activation" for node in graph.nodes):
        return graph.nodes
    return with_relu(graph, deconvnet_relu, traced.name, "the projection by a deconvolutional network")
