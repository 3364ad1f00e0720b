"""Gradient ascent for explain.py: the class model figure, or what channels and neurons want to see."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_actmaps import backend, render
from keras_actmaps.cli.request import Request
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.files import save_arrays
from keras_actmaps.core.progress import progress
from keras_actmaps.features.activation_maximization import STRETCH, Climb, Stage, stages
from keras_actmaps.features.top_images import TopImages, top_images
from keras_actmaps.methods.registry import check_count

MOST_CLASSES, MOST_CHANNELS = 40, 15  # of one picture, where none are named
STARTS = ("noise", "image")
TO_MIDDLE = 0.3  # of the way from the median to the middle of the range: at its ends pixels hardly move


def ascent(
    asked: Request, *, steps=256, seed=0, channels=None, neuron=None, start="noise", film=None, frames=64,
    ground=Climb.ground, noise=Climb.noise, parametrisation=Climb.parametrisation, rate=Climb.rate,
    certainty=Climb.certainty, l2=Climb.l2, variation=Climb.variation, jitter=Climb.jitter, zoom=Climb.zoom,
    turn=Climb.turn,
) -> list[Path]:  # fmt: skip
    """The image that a class, a channel or a neuron scores highest, by gradient ascent (Simonyan et al. 2014).

    --target: a class, or all, as without it. --layer: its channels instead, as in channels=3,5 (the first 15), or one
    neuron=Y,X,CHANNEL. start: "noise" on ground (None: near the median of the real images), or "image". film: gif or
    mp4 of so many frames. The other settings: see `inside.ascent.Climb`. Below each image stands the real one, of the
    split, that scores highest, where the model has a run.
    Cost: `steps` forward and backward passes of all targets in one batch, and one pass over the split.
    Fails: shows what raises the score most, which need not be what raises it in real images.
    """
    check_count("frames", frames)
    if film is not None:
        render.check_film(film)
    if start not in STARTS:
        raise ValueError(f"no start {start!r}; there are: {', '.join(STARTS)}")
    probe = asked.probe if asked.layer is None else as_traced(asked.subject.model, asked.layer)
    targets, names, kind = _targets(asked, probe, channels, neuron)
    settings = {"noise": noise, "parametrisation": parametrisation, "rate": rate, "certainty": certainty, "l2": l2,
                "variation": variation, "jitter": jitter, "zoom": zoom, "turn": turn}  # fmt: skip

    def climb(ground):
        every = STRETCH if film is None else max(1, -(-steps // frames))
        begin = asked.images.arrays if start == "image" else None
        return stages(probe, targets, asked.layer, steps, seed, begin, every, ground=ground,
                      bounds=(0.0, 255.0 / asked.subject.scale), **settings)  # fmt: skip

    climb(ground)  # which says what does not fit, before any work
    best = top_images(probe, asked.data().truth(asked.split), targets, asked.layer) if asked.subject.run else None
    if ground is None and best:
        ground = best.median + TO_MIDDLE * (127.5 / asked.subject.scale - best.median)
    last, pictures, captions = _watched(probe, climb(ground), asked)
    shares = _probabilities(probe, last.images, targets) if kind == "logit" and probe.classes else None
    written = _written(asked, names, kind, last, shares, best)
    if film is not None:
        written.append(render.film(pictures, names, captions, asked.folder / f"ascent.{film}"))
    return written


def _targets(asked: Request, probe, channels, neuron) -> tuple[list, list[str], str]:
    """Targets as `stages` takes them, what they are called, and what their score is called."""
    if asked.layer is None:
        if channels is not None or neuron is not None:
            raise ValueError("channels and neurons are those of a layer; give --layer")
        count = probe.classes or 0
        if asked.target is None and count > MOST_CLASSES:
            raise ValueError(f"{count} classes are too many for one picture; give --target CLASS, or all")
        classes = list(range(count)) if asked.target in (None, "all") else [asked.target]
        return classes, [asked.subject.name(target) for target in classes], "logit"
    if neuron is not None:
        neurons = [tuple(neuron)] if np.ndim(neuron) == 1 else list(neuron)
        return neurons, [f"neuron {', '.join(map(str, one))}" for one in neurons], "activation"
    if channels is None:
        channels = range(min(probe.graph.shapes[probe.graph.slot_of[probe.layer]][-1], MOST_CHANNELS))
    channels = [channels] if np.ndim(channels) == 0 else list(channels)
    return channels, [f"channel {channel}" for channel in channels], "mean activation"


def _watched(probe, climb: Iterator[Stage], asked: Request) -> tuple[Stage, list[np.ndarray], list[str]]:
    """The last stage of the climb, and all as uint8 images with their captions; with a bar while it takes long."""
    pictures, captions = [], []
    with progress("ascent") as report:
        before, probe.report = probe.report, report
        try:
            for stage in climb:
                pictures.append(asked.subject.pixels(stage.images))
                captions.append(asked.caption(f"ascent, step {stage.step}"))
        finally:
            probe.report = before
    return stage, pictures, captions


def _probabilities(probe, images: np.ndarray, classes: list[int]) -> np.ndarray:
    """The softmax (K,) of the class that each image is for."""
    logits = backend.to_numpy(probe.program((_probabilities,), probe.outputs)(images))
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True))[np.arange(len(classes)), classes]


def _written(asked: Request, names, kind: str, last: Stage, shares, best: TopImages | None) -> list[Path]:
    """The raw images and scores, and the picture; says how the scores compare with those of real images."""
    arrays = {"images": last.images, "scores": last.scores, "names": np.array(names)}
    lines = [f"{kind} {score:.1f}" for score in last.scores]
    if shares is not None:
        arrays["probabilities"] = shares
        lines = [f"{line}, p = {share:.4f}" for line, share in zip(lines, shares)]
    titles = [f"{name}\n{line}" for name, line in zip(names, lines)]
    real = {}
    if best is not None:
        arrays |= {"best_real_images": best.images, "best_real_scores": best.scores, "best_real_indices": best.indices}
        real = {"real": asked.subject.pixels(best.images),
                "real_titles": [f"best of {best.count} real ones: {score:.1f}\n{asked.split} image {index}"
                                for score, index in zip(best.scores, best.indices)]}  # fmt: skip
        lines = [f"{line}; best of {best.count} real images {score:.1f}" for line, score in zip(lines, best.scores)]
    for name, line in zip(names, lines):
        asked.say(f"ascent of {name}: {line}")
    at = f" at layer {asked.layer}" if asked.layer else ""
    figure = render.ascent_figure(asked.subject.pixels(last.images), titles, **real,
                                  caption=asked.caption(f"gradient ascent{at}: what scores highest"))  # fmt: skip
    written = save_arrays(asked.folder / "ascent.npz", **arrays)
    return [written, render.save(figure, asked.folder / "ascent.png")]
