"""Exemplars for explain.py."""

from collections import Counter
from pathlib import Path

import numpy as np

from keras_actmaps import render
from keras_actmaps.cli.request import Request
from keras_actmaps.core.files import save_arrays
from keras_actmaps.core.progress import progress
from keras_actmaps.features import exemplars as inside
from keras_actmaps.features.deconv_projection import boxes, projections
from keras_actmaps.features.topk import Exemplars
from keras_actmaps.methods.registry import check_count

MOST_CHANNELS = 8  # of one picture, where none are named


def exemplars(asked: Request, *, channels=None, k=9, reduce="max") -> list[Path]:
    """Images that excite a channel most, what it sees of them, what in that excites it (Zeiler & Fergus 2014, fig. 2).

    --layer: any layer with channels, or with units; the last with a spatial output if none is given. --split: whose
    images. channels: numbers, such as 0,3,5; if none are given, all are searched, and those with the highest scores
    drawn. k: the images of a channel. reduce: "max" or "mean" over space. What excites it is the projection by a
    deconvolutional network, for networks of ReLU. The .npz holds all channels that were searched.
    Cost: one forward pass of each image of the split; some backward passes for what is drawn.
    Fails: shows the peaks of a channel, not all that it answers to.
    """
    check_count("k", k)
    layer = inside.find_layer(asked.subject.model, asked.probe, asked.layer)
    inside.find_channels(asked.probe, layer, channels)
    stream, found = _search(asked, layer, channels, k, reduce)
    highest = np.argsort(-found.scores[:, 0], kind="stable")[:MOST_CHANNELS]
    drawn = found.rows(highest) if channels is None else found
    images, labels = inside.fetch(asked.probe, stream, drawn.indices)
    seen = boxes(asked.probe, drawn, images.shape[2:-1])
    try:
        excites = projections(asked.probe, drawn, images)
    except ValueError as error:
        asked.say(f"exemplars without projections: {error}")
        excites = None
    titles = [_title(asked, *row) for row in zip(drawn.channels, drawn.scores, drawn.silent, labels)]
    caption, pixels = _caption(asked, found, drawn, excites), asked.subject.pixels(images)
    figure = render.exemplar_figure(pixels, seen, drawn.silent, titles, excites, caption, _size(seen))
    names = ("scores", "indices", "channels", "lowest", "places")
    arrays = {name: getattr(found, name) for name in names if getattr(found, name) is not None}
    written = save_arrays(asked.folder / "exemplars.npz", **arrays, layer=np.array(layer), reduce=np.array(reduce))
    return [written, render.save(figure, asked.folder / "exemplars.png")]


def _search(asked: Request, layer: str, channels, k: int, reduce: str):
    """The images of the split, and the exemplars among them, with a bar while it takes long."""
    data, probe = asked.data(), asked.probe
    stream, count = data.truth(asked.split), data.info.counts[asked.split]
    if k > count:
        asked.say(f"k={k}, but the {asked.split} split holds {count} images; all are given")
    with progress("exemplars") as report:
        before, probe.report = probe.report, lambda done, _: report(done, count)
        try:
            return stream, inside.exemplars(probe, stream, layer, channels, min(k, count), reduce)
        finally:
            probe.report = before


def _title(asked: Request, channel: int, scores: np.ndarray, silent: np.ndarray, labels: np.ndarray) -> str:
    """A channel's number, scores and most frequent classes."""
    if silent[0]:
        return f"channel {channel}: dead\nno image excites it"
    scores, labels = scores[~silent], labels[~silent]
    classes = [f"{count}\u00a0{asked.subject.name(label)}" for label, count in Counter(labels.tolist()).most_common(2)]
    return f"channel {channel}: {scores[0]:.2f} to {scores[-1]:.2f}\n{', '.join(classes)}"


def _caption(asked: Request, found: Exemplars, drawn: Exemplars, excites) -> str:
    which = f"{len(drawn)} of {len(found)} channels, those of the highest scores" if len(drawn) < len(found) else ""
    dead = f"{found.dead.sum()} of {len(found)} are dead" if found.dead.any() else ""
    hatched = "hatched: no image excites it" if drawn.silent.any() else ""
    over = f", {found.reduce} over space" if found.places is not None or found.reduce == "mean" else ""
    where = f"layer {found.layer}{over}, {asked.split} images"
    scale = "what excites it: each at its own scale, grey is 0" if excites is not None else ""
    return asked.caption(" · ".join(filter(None, [where, which, dead, hatched, scale])))


def _size(seen) -> str:
    """The largest box, in words."""
    sides = [[at.stop - at.start for at in box] for row in seen for box in row]
    return "×".join(map(str, np.max(sides, axis=0))) + " pixels"
