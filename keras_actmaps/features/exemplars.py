"""Exemplars: the images of a data set with the highest activation of a channel, in one pass and constant memory."""

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.attribution import spatial_axes
from keras_actmaps.core.batching import even_batch_size, iterate_batches, padded_batches, refuse_inputs_as_labels
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.graph import run_nodes
from keras_actmaps.core.run_context import ignore
from keras_actmaps.core.settings import show
from keras_actmaps.core.stored import StoredExplanations
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.core.validation import layer_name, matching_paths, validate_batch_size
from keras_actmaps.features.settings import Examples, Report, SpatialReduction, validate_arguments
from keras_actmaps.features.stored_exemplars import exemplars_of_maps
from keras_actmaps.features.topk import Exemplars, empty_exemplars, merge_batch


def exemplars(
    model: Any,
    dataset: Iterable | None = None,
    layer: Any = None,
    channels: Any = None,
    k: Examples = 9,
    reduce: SpatialReduction = "max",
    batch_size: int = 64,
    *,
    report: Report | None = None,
) -> Exemplars:
    """The k images of a data set with the highest activation of each channel (Zeiler and Fergus 2014, section 4).

    s_c(x) = max_ij A_ijc(x), or the mean over i and j.

    Parameters
    ----------
    model : keras.Model, torch.nn.Module, Probe or Maps
        Of a finished `explain_all`, the channels are the classes that its maps explain, and A_c the map of an image
        that is explained as class c. There is no data set then, and the maps are read in parts.
    dataset : iterable
        See `core.batching.iterate_batches`.
    layer : str, int or None
        Name, path or index of a layer; None is that of the Probe, by default the last with a spatial output. The
        channels of a layer without spatial axes, such as Dense, are its units; the outputs of the model are taken
        before a softmax or sigmoid.
    channels : int, sequence of int or None
        None is all channels.
    k : int
        Images per channel; fewer, with a warning, if the data set has fewer.
    reduce : {"max", "mean"}
        How activations are reduced over space.
    batch_size : int
        Maximum number of images in memory at a time.
    report : callable, optional
        `report(done, None)` is called as images are processed.

    Returns
    -------
    Exemplars
        Ties are broken in favor of earlier images. The rows of classes that fewer than k of the maps explain are filled
        up with the index -1 and the score -inf.

    Raises
    ------
    ValueError
        Before any computation, for an unknown layer or channel and invalid settings; for images that do not fit, a data
        set without images, and activations that are not finite.

    Notes
    -----
    Cost: one forward pass, up to the layer, of each image. Memory: k scores, indices and positions per channel.
    """
    k, reduce = validate_arguments(exemplars, k=k, reduce=reduce)
    validate_batch_size(batch_size)
    if isinstance(model, StoredExplanations):
        if dataset is not None or layer is not None:
            raise ValueError("stored maps have their own images and layer; pass no dataset and no layer")
        return exemplars_of_maps(model, channels, k, reduce)
    if dataset is None:
        raise ValueError("exemplars of a model need a dataset")
    traced = as_traced(model)
    path = find_layer(model, traced, layer)
    selected = find_channels(traced, path, channels)
    program, top, count = _program(traced, path, reduce), None, 0
    for images, real in _padded_images(traced, dataset, batch_size):
        scores, *places = (backend.to_numpy(part)[:real][:, selected] for part in program(images))
        _require_finite(scores, traced, path, count)
        if top is None:
            top = empty_exemplars(path, selected, reduce, *(part.shape[-1] for part in places))
        top = merge_batch(top, k, scores, count, *places)
        count += real
        (report or ignore)(real, None)
    if top is None:
        raise ValueError("the dataset has no images")
    if count < k:
        warnings.warn(f"k={k}, but the dataset has only {count} images; all are returned", stacklevel=2)
    return top


def fetch_images(model: Any, dataset: Iterable, indices: Array, batch_size: int = 64) -> tuple[Array, Array | None]:
    """Images (..., H, W, C) at positions (...) of a data set, and their labels (...), or None if it has none.

    The data set is read again, up to the last of these positions; ValueError if it has fewer images.
    """
    traced, positions, first = as_traced(model), np.unique(indices), 0
    if positions.size and positions[0] < 0:
        raise ValueError(f"indices must be positions in the dataset, got {positions[0]}, which stands for no image")
    images: list[Array] = []
    labels: list[Array] = []
    for batch, batch_labels, _ in iterate_batches(dataset, len(traced.input_shape), batch_size):
        inside = positions[(positions >= first) & (positions < first + len(batch))] - first
        if len(inside):
            images.extend(traced.validate_inputs(batch[inside]))
            labels.extend([] if batch_labels is None else batch_labels[inside])
        first += len(batch)
        if first > positions[-1]:
            rows = np.searchsorted(positions, indices)
            return np.stack(images)[rows], np.stack(labels)[rows] if labels else None
    raise ValueError(
        f"the dataset has {first} images when it is read again, and image {positions[-1]} is needed; "
        "pass one that can be read twice"
    )


def find_layer(model: Any, traced: TracedModel, layer: Any = None) -> str:
    """The path of a layer, spatial or not; ValueError for one that does not exist or has no channels."""
    graph = traced.require_graph()
    if layer is None:
        layer = traced.require_one_layer("exemplars")
    if not isinstance(layer, str) and not isinstance(model, TracedModel):
        layer = layer_name(layer, model)
    known = {path: graph.shapes[slot] for path, slot in graph.slot_of.items() if graph.producer(slot)}
    found = matching_paths(layer, known)
    if len(found) != 1:
        raise ValueError(
            f"{'more than one' if found else 'no'} layer {show(layer)} in {traced.name!r}; "
            f"choices: {', '.join(found or known)}"
        )
    (path,) = found
    if len(known[path]) < 2 or known[path][-1] is None:
        raise ValueError(f"layer {path!r} of {traced.name!r} has no channels; its outputs are {known[path]}")
    return path


def find_channels(traced: TracedModel, path: str, channels: Any = None) -> Array:
    """The numbers of channels, int64 (channels,); None is all. ValueError for those that the layer does not have."""
    count = traced.graph.shapes[traced.graph.slot_of[path]][-1]
    try:
        selected = np.atleast_1d(np.arange(count) if channels is None else np.asarray(channels))
    except (ValueError, TypeError):  # ragged
        selected = np.empty(0)
    if not np.issubdtype(selected.dtype, np.integer) or selected.ndim != 1 or not selected.size:
        raise ValueError(f"channels must be an integer, a list of integers or None, got {show(channels)}")
    outside = selected[(selected < 0) | (selected >= count)]
    if outside.size:
        raise ValueError(f"channel {outside[0]} does not exist; layer {path!r} has channels 0 to {count - 1}")
    return selected.astype("int64")


def _require_finite(scores: Array, traced: TracedModel, path: str, first: int) -> None:
    """ValueError for scores (N, channels) that are not finite; first: position of the first image."""
    finite = np.isfinite(scores).all(axis=1)
    if not finite.all():
        index = first + int(np.argmin(finite))
        raise ValueError(f"layer {path!r} of {traced.name!r} returns NaN or Inf for image {index} of the dataset")


def _padded_images(traced: TracedModel, dataset: Iterable, batch_size: int) -> Iterator[tuple[Array, int]]:
    """(images, number of real ones) of a stream, in batches of one size."""
    size = None
    for images, labels, _ in iterate_batches(dataset, len(traced.input_shape), batch_size):
        refuse_inputs_as_labels(images, labels, traced.classes)
        images = traced.validate_inputs(images)
        size = size or even_batch_size(batch_size, len(images))
        for (batch,), real in padded_batches([images], size):
            yield batch, real


def _program(traced: TracedModel, path: str, reduce: str) -> Any:
    """images -> scores (N, channels) and, for a maximum over space, its places (N, channels, axes)."""
    slot = traced.graph.slot_of[path]
    nodes = traced.graph.ancestors([slot])

    def scores(images: Tensor) -> list[Tensor]:
        features = ops.cast(run_nodes(nodes, {traced.graph.inputs[0]: images})[slot], "float32")
        count, *space, channels = features.shape
        if reduce == "mean" or not space:
            return [ops.mean(features, axis=spatial_axes(features)) if space else features]
        features = ops.reshape(features, (count, -1, channels))
        # argmax over the last axis is three times as fast as over the one before.
        strongest = ops.argmax(ops.transpose(features, (0, 2, 1)), axis=-1)
        return [ops.max(features, axis=1), _unravel(strongest, space)]

    return traced.program((exemplars, path, reduce), scores)


def _unravel(indices: Tensor, shape: list[int]) -> Tensor:
    """Flat indices (...) -> coordinates (..., axes), because `keras.ops.unravel_index` is wrong for several axes."""
    coordinates: list[Tensor] = []
    for side in reversed(shape):
        coordinates.insert(0, indices % side)
        indices = indices // side
    return ops.stack(coordinates, axis=-1)
