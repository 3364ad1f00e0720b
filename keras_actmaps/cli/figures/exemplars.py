"""The figure of exemplars."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from keras_actmaps import render
from keras_actmaps.cli.figures.registry import Figure, require_traced
from keras_actmaps.cli.request import Request
from keras_actmaps.core.files import save_arrays
from keras_actmaps.core.progress import progress
from keras_actmaps.core.types import Array
from keras_actmaps.features import exemplars as features
from keras_actmaps.features.deconv_projection import deconv_projections, receptive_fields
from keras_actmaps.features.receptive_field import Box
from keras_actmaps.features.settings import Channels, Examples, SpatialReduction
from keras_actmaps.features.topk import Exemplars

MAX_CHANNELS = 8  # in one picture by default


def exemplars(
    request: Request, *, channels: Channels = None, k: Examples = 9, reduce: SpatialReduction = "max"
) -> list[Path]:
    """Draw the images of `--split` with the highest activations of channels of `--layer`, which may be Dense.

    Without `channels`, all are searched, and those with the highest scores are drawn. The .npz file contains all
    searched channels. Projections are drawn for networks with ReLU.
    """
    traced = require_traced(request)
    layer = features.find_layer(request.subject.model, traced, request.layer)
    features.find_channels(traced, layer, channels)
    stream, found = _search(request, layer, channels, k, reduce)
    highest = np.argsort(-found.scores[:, 0], kind="stable")[:MAX_CHANNELS]
    drawn = found.rows(highest) if channels is None else found
    images, labels = features.fetch_images(traced, stream, drawn.indices)
    fields = receptive_fields(traced, drawn, images.shape[2:-1])
    projections = _projections(request, drawn, images)
    titles = [_title(request, *row) for row in zip(drawn.channels, drawn.scores, drawn.silent, _rows(labels, drawn))]
    figure = render.exemplar_figure(
        request.subject.pixels(images),
        fields,
        drawn.silent,
        titles,
        projections,
        _caption(request, found, drawn, projections is not None),
        _largest(fields),
    )
    written = _save(request, found)
    return [written, render.save(figure, request.folder / "exemplars.png")]


def _search(
    request: Request, layer: str, channels: Channels, k: int, reduce: SpatialReduction
) -> tuple[Iterable, Exemplars]:
    """The images of the split, and the exemplars among them, with a progress bar."""
    stream = request.stream()
    count = stream.count
    if k > count:
        request.say(f"k={k}, but the {request.split} split has only {count} images; all are drawn")
    with progress("exemplars") as bar:
        found = features.exemplars(
            request.traced,
            stream,
            layer,
            channels,
            min(k, count),
            reduce,
            report=lambda done, _: bar(done, count),
        )
    return stream, found


def _projections(request: Request, drawn: Exemplars, images: Array) -> Array | None:
    """Projections by a deconvolutional network; None, with a message, if they cannot be computed."""
    try:
        return deconv_projections(request.traced, drawn, images)
    except ValueError as error:
        request.say(f"exemplars without projections: {error}")
        return None


def _save(request: Request, found: Exemplars) -> Path:
    arrays = {
        "scores": found.scores,
        "indices": found.indices,
        "channels": found.channels,
        "lowest": found.lowest,
        "layer": np.array(found.layer),
        "reduce": np.array(found.reduce),
    }
    if found.places is not None:
        arrays["places"] = found.places
    return save_arrays(request.folder / "exemplars.npz", **arrays)


def _rows(labels: Array | None, drawn: Exemplars) -> Sequence[Array]:
    """The labels of each channel's images; empty if they are unknown."""
    return [np.empty(0, int)] * len(drawn) if labels is None else list(labels)


def _title(request: Request, channel: int, scores: Array, silent: Array, labels: Array) -> str:
    """A channel's number, its scores and the most frequent classes of its images."""
    if silent[0]:
        return f"channel {channel}: dead\nno image excites it"
    scores = scores[~silent]
    labels = labels[~silent] if len(labels) else labels
    common = Counter(labels.tolist()).most_common(2)
    classes = [f"{count}\u00a0{request.subject.name(label)}" for label, count in common]
    return f"channel {channel}: {scores[0]:.2f} to {scores[-1]:.2f}\n{', '.join(classes)}"


def _caption(request: Request, found: Exemplars, drawn: Exemplars, has_projections: bool) -> str:
    which = f"{len(drawn)} of {len(found)} channels, those with the highest scores" if len(drawn) < len(found) else ""
    dead = f"{found.dead.sum()} of {len(found)} are dead" if found.dead.any() else ""
    hatched = "hatched: no image excites it" if drawn.silent.any() else ""
    over = f", {found.reduce} over space" if found.places is not None or found.reduce == "mean" else ""
    where = f"layer {found.layer}{over}, {request.split} images"
    scale = "projections: each on its own scale, gray is 0" if has_projections else ""
    return request.caption(" · ".join(filter(None, [where, which, dead, hatched, scale])))


def _largest(fields: list[list[Box]]) -> str:
    """The size of the largest box."""
    sides = [[side.stop - side.start for side in box] for row in fields for box in row]
    return "×".join(map(str, np.max(sides, axis=0))) + " pixels"


FIGURE = Figure(
    name="exemplars",
    function=exemplars,
    summary="The images with the highest activation of a channel, with receptive fields and projections",
    paper="Zeiler and Fergus 2014, figure 2",
    cost="one forward pass of each image of the split, and one backward pass per drawn image.",
    limitations="shows the highest activations of a channel, not everything that activates it.",
)
