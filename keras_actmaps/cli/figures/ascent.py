"""The figure of gradient ascent: the images that maximize classes, channels or neurons."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from keras_actmaps import backend, render
from keras_actmaps.cli.figures.registry import Figure
from keras_actmaps.cli.request import Request
from keras_actmaps.core.files import save_arrays
from keras_actmaps.core.progress import progress
from keras_actmaps.core.settings import Count, Seed, settings_of
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.features.activation_maximization import STEPS_PER_STATE, AscentState, ascent_states
from keras_actmaps.features.settings import AscentSettings, Channels, Steps
from keras_actmaps.features.top_images import TopImages, top_images

MAX_CLASSES, MAX_CHANNELS = 40, 15  # in one picture by default
TO_MIDDLE = 0.3  # share of the way from the median to the middle of the range, because pixels at its ends hardly change

Neuron = tuple[int, int, int]


def ascent(
    request: Request,
    *,
    steps: Steps = 256,
    seed: Seed = 0,
    channels: Channels = None,
    neuron: Annotated[Neuron | tuple[Neuron, ...] | list[Neuron] | None, "y, x and channel in the layer"] = None,
    start: Annotated[Literal["noise", "image"], "whether ascent starts from noise or from the image"] = "noise",
    film: Annotated[Literal["gif", "mp4", None], "format of a film of the ascent"] = None,
    frames: Annotated[Count, "frames of the film"] = 64,
    **settings: Any,
) -> list[Path]:
    """Draw images that maximize the class `--target`, by default all; or channels, or a neuron, of `--layer`.

    If the model is that of a run, the image of `--split` with the highest score is drawn below each. Without `ground`,
    the ascent then starts near the median of the real images. Other settings: `AscentSettings`.
    """
    traced = request.traced_at_layer
    layer = traced.require_one_layer("ascent") if request.layer else None
    targets, names, score_name = _targets(request, traced, channels, neuron)
    arguments: dict[str, Any] = {
        **{"targets": targets, "layer": layer, "steps": steps, "seed": seed},
        "start": request.images.arrays if start == "image" else None,
        "every": STEPS_PER_STATE if film is None else max(1, -(-steps // frames)),
        "bounds": request.subject.preprocessing.bounds,
        **settings,
    }
    ascent_states(traced, **arguments)  # raises errors of the arguments before any computation
    top = None
    if request.subject.run is not None:
        top = top_images(traced, request.stream(), targets, layer)
        if settings.get("ground") is None:
            arguments["ground"] = top.median + TO_MIDDLE * (np.mean(request.subject.preprocessing.bounds) - top.median)
    with progress("ascent") as report:
        last, pictures, captions = _collect(request, ascent_states(traced, report=report, **arguments))
    is_class = request.layer is None and traced.classes is not None
    probabilities = _probabilities(traced, last.images, targets) if is_class else None
    written = _write(request, names, score_name, last, probabilities, top)
    if film is not None:
        written.append(render.film(pictures, names, captions, request.folder / f"ascent.{film}"))
    return written


def _targets(request: Request, traced: TracedModel, channels: Any, neuron: Any) -> tuple[list[Any], list[str], str]:
    """Targets for `ascent_states`, their names, and the name of their score."""
    if request.layer is None:
        if channels is not None or neuron is not None:
            raise ValueError("channels and neuron need a layer; pass --layer")
        count = traced.classes or 0
        if callable(request.target):
            raise ValueError("ascent maximizes a class, not the difference of two; pass --target with one class")
        if request.target is None and count > MAX_CLASSES:
            raise ValueError(f"{count} classes are too many for one picture; pass --target CLASS, or --target all")
        classes: list[Any] = list(range(count)) if request.target in (None, "all") else [request.target]
        return classes, [request.subject.name(target) for target in classes], "logit"
    if neuron is not None:
        neurons = [tuple(neuron)] if np.ndim(neuron) == 1 else list(neuron)
        return neurons, [f"neuron {', '.join(map(str, one))}" for one in neurons], "activation"
    if channels is None:
        layer = traced.require_one_layer("ascent")
        channels = range(min(traced.graph.shapes[traced.graph.slot_of[layer]][-1], MAX_CHANNELS))
    channels = [channels] if np.ndim(channels) == 0 else list(channels)
    return channels, [f"channel {channel}" for channel in channels], "mean activation"


def _collect(request: Request, states: Iterable[AscentState]) -> tuple[AscentState, list[Array], list[str]]:
    """The last state, and the images of all as uint8 with their captions."""
    pictures, captions = [], []
    for state in states:
        pictures.append(request.subject.pixels(state.images))
        captions.append(request.caption(f"ascent, step {state.step}"))
    return state, pictures, captions


def _probabilities(traced: TracedModel, images: Array, classes: list[int]) -> Array:
    """The softmax (K,) of the class that each image maximizes."""
    logits = backend.to_numpy(traced.program((_probabilities,), traced.outputs)(images))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (exponentials / exponentials.sum(axis=1, keepdims=True))[np.arange(len(classes)), classes]


def _write(
    request: Request,
    names: list[str],
    score_name: str,
    last: AscentState,
    probabilities: Array | None,
    top: TopImages | None,
) -> list[Path]:
    """Write images and scores, raw, and the picture; print how the scores compare with those of real images."""
    arrays = {"images": last.images, "scores": last.scores, "names": np.array(names)}
    lines = [f"{score_name} {score:.1f}" for score in last.scores]
    if probabilities is not None:
        arrays["probabilities"] = probabilities
        lines = [f"{line}, p = {probability:.4f}" for line, probability in zip(lines, probabilities)]
    titles = [f"{name}\n{line}" for name, line in zip(names, lines)]
    real: dict[str, Any] = {}
    if top is not None:
        arrays |= {"best_real_images": top.images, "best_real_scores": top.scores, "best_real_indices": top.indices}
        real = {"real": request.subject.pixels(top.images), "real_titles": _real_titles(request, top)}
        lines = [f"{line}; best of {top.count} real images {score:.1f}" for line, score in zip(lines, top.scores)]
    for name, line in zip(names, lines):
        request.say(f"ascent of {name}: {line}")
    where = f" at layer {request.layer}" if request.layer else ""
    caption = request.caption(f"gradient ascent{where}: images with the highest scores")
    figure = render.ascent_figure(request.subject.pixels(last.images), titles, **real, caption=caption)
    written = save_arrays(request.folder / "ascent.npz", **arrays)
    return [written, render.save(figure, request.folder / "ascent.png")]


def _real_titles(request: Request, top: TopImages) -> list[str]:
    return [
        f"best of {top.count} real images: {score:.1f}\n{request.split} image {index}"
        for score, index in zip(top.scores, top.indices)
    ]


FIGURE = Figure(
    name="ascent",
    function=ascent,
    more_settings={name: setting for name, setting in settings_of(AscentSettings).items() if name != "bounds"},
    summary="The images that maximize the score of a class, a channel or a neuron, by gradient ascent",
    paper="Simonyan et al. 2014, section 2",
    cost="`steps` forward and backward passes of all targets in one batch, and one forward pass of each real image.",
    limitations="shows what raises the score most, which may differ from what raises it in real images.",
)
