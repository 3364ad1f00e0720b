"""Exemplars: the images of a data set that excite a channel most, found in one pass and in flat memory."""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.batching import even_batch_size, iterate_batches, padded_batches
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.graph import run_nodes
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.validation import layer_name, matching_paths
from keras_actmaps.features.topk import Exemplars, merged, nothing
from keras_actmaps.methods.registry import check_count

REDUCTIONS = ("max", "mean")


def exemplars(
    model, dataset: Iterable, layer=None, channels=None, k: int = 9, reduce: str = "max", batch_size: int = 64
) -> Exemplars:
    """The k images of a data set that excite each channel of a layer most (Zeiler & Fergus 2014, section 4).

    s_c(x) = max_ij A_ijc(x), or the mean over i and j. One pass; kept are k scores, indices and places a channel, and
    of equal scores those of the lower index.

    model: a Keras model or a TracedModel. dataset: see `streams.gathered`. layer: None = the Probe's, which is the last
    with a spatial output; a name, path or number. One without space, as Dense, has its units for channels; its softmax
    or sigmoid at the top of the model is left out. channels: None = all; a number, or several. k: where the data set
    has fewer images, all, with a warning. reduce: "max" or "mean". batch_size: the most images in memory at a time.

    Raises ValueError, before any work, for a layer, channel or setting that there is not and for images that do not
    fit, and for an empty data set.
    Cost: one forward pass, up to the layer, of each image.
    """
    check_count("k", k)
    if reduce not in REDUCTIONS:
        raise ValueError(f"no reduction reduce={reduce!r}; there are: {', '.join(REDUCTIONS)}")
    probe = as_traced(model)
    path = find_layer(model, probe, layer)
    chosen = find_channels(probe, path, channels)
    program, best, count = _program(probe, path, reduce), None, 0
    for images, real in _batches(probe, dataset, batch_size):
        scores, *places = (backend.to_numpy(part)[:real][:, chosen] for part in program(images))
        if not np.isfinite(scores).all():
            wrong = count + int(np.argmin(np.isfinite(scores).all(axis=1)))
            raise ValueError(f"layer {path!r} of {probe.name!r} gives NaN or Inf for image {wrong} of the dataset")
        best = merged(best or nothing(path, chosen, k, reduce, *places), scores, count, *places)
        count += real
        probe.report(real, None)
    if best is None:
        raise ValueError("the dataset holds no images")
    if count >= k:
        return best
    warnings.warn(f"k={k}, but the dataset holds {count} images; all are given", stacklevel=2)
    places = None if best.places is None else best.places[:, :count]
    return replace(best, scores=best.scores[:, :count], indices=best.indices[:, :count], places=places)


def fetch(model, dataset: Iterable, indices: np.ndarray, batch_size: int = 64) -> tuple[np.ndarray, np.ndarray | None]:
    """The images (...,H,W,C) at some places (...) of a data set, and their labels (...), or None where it has none.

    The data set is read once more, up to the last of them; ValueError where it ends before.
    """
    probe, wanted, found, first = as_traced(model), np.unique(indices), [], 0
    for images, labels, _ in iterate_batches(dataset, len(probe.input_shape), batch_size):
        inside = wanted[(wanted >= first) & (wanted < first + len(images))] - first
        if len(inside):
            found += zip(probe.validate_inputs(images[inside]), [None] * len(inside) if labels is None else labels[inside])
        first += len(images)
        if first > wanted[-1]:
            images, labels = map(list, zip(*found))
            rows = np.searchsorted(wanted, indices)
            return np.stack(images)[rows], None if labels[0] is None else np.stack(labels)[rows]
    raise ValueError(f"the dataset holds {first} images when it is read again, and image {wanted[-1]} is wanted; give "
                     "one that can be read twice")  # fmt: skip


def find_layer(model, probe: TracedModel, layer=None) -> str:
    """The path of a layer, spatial or not; ValueError for one that there is not, or that has no channels."""
    graph = probe.require_graph()
    if layer is None:
        probe.require_one_layer("exemplars")
        layer = probe.layer
    if not isinstance(layer, str) and not isinstance(model, TracedModel):
        layer = layer_name(layer, model)
    known = {path: graph.shapes[slot] for path, slot in graph.slot_of.items() if graph.producer(slot)}
    found = matching_paths(layer, known)
    if len(found) != 1:
        raise ValueError(f"{'more than one' if found else 'no'} layer {layer!r} in {probe.name!r}; there are: "
                         f"{', '.join(found or known)}")  # fmt: skip
    (path,) = found
    if len(known[path]) < 2 or known[path][-1] is None:
        raise ValueError(f"layer {path!r} of {probe.name!r} has no channels; its outputs are {known[path]}")
    return path


def find_channels(probe: TracedModel, path: str, channels=None) -> np.ndarray:
    """The numbers of channels, int64 (channels,), None being all; ValueError for one outside the layer."""
    count = probe.graph.shapes[probe.graph.slot_of[path]][-1]
    chosen = np.atleast_1d(np.arange(count) if channels is None else np.asarray(channels))
    if not np.issubdtype(chosen.dtype, np.integer) or chosen.ndim != 1:
        raise ValueError(f"channels={channels!r} are no channels; give whole numbers")
    outside = chosen[(chosen < 0) | (chosen >= count)]
    if outside.size:
        raise ValueError(f"no channel {outside[0]}; layer {path!r} has the channels 0 to {count - 1}")
    return chosen.astype("int64")


def _batches(probe: TracedModel, dataset: Iterable, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
    """(images of one size, how many of them are real) of a stream."""
    size = None
    for images, *_ in iterate_batches(dataset, len(probe.input_shape), batch_size):
        images = probe.validate_inputs(images)
        size = size or even_batch_size(batch_size, len(images))
        for (batch,), real in padded_batches([images], size):
            yield batch, real


def _program(probe: TracedModel, path: str, reduce: str):
    """images -> scores (N, channels) and, for a maximum over space, its places (N, channels, axes of space)."""
    slot = probe.graph.slot_of[path]
    steps = probe.graph.ancestors([slot])

    def scores(images):
        features = ops.cast(run_nodes(steps, {probe.graph.inputs[0]: images})[slot], "float32")
        count, *space, channels = features.shape
        if reduce == "mean" or not space:
            return [ops.mean(features, axis=tuple(range(1, 1 + len(space)))) if space else features]
        features = ops.reshape(features, (count, -1, channels))
        # Over the last axis the maximum is found three times as fast as over the one before.
        strongest = ops.argmax(ops.transpose(features, (0, 2, 1)), axis=-1)
        return [ops.max(features, axis=1), _unravelled(strongest, space)]

    return probe.program((exemplars, path, reduce), scores)


def _unravelled(numbers, space: list[int]):
    """Numbers of places, row by row, (...) -> their coordinates (..., axes); Keras' own errs for several axes."""
    coordinates = []
    for side in reversed(space):
        coordinates.insert(0, numbers % side)
        numbers = numbers // side
    return ops.stack(coordinates, axis=-1)
