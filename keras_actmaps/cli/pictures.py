"""Pictures of the command explain beside the figure of each method: cut-outs, films and overlays of photographs."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_actmaps import render
from keras_actmaps.cli.drawing import Drawing
from keras_actmaps.cli.options import ExplainOptions
from keras_actmaps.cli.request import Request
from keras_actmaps.core.explanation import PER_IMAGE, Explanation
from keras_actmaps.core.image_files import read_image
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.metrics.masks import masks
from keras_actmaps.render.columns import channels_last
from keras_actmaps.render.images import bands_title, check_bands, pixels_of

IMAGES, VOLUMES = 4, 5  # axes of inputs


def drawing_of(options: ExplainOptions) -> Drawing:
    """The part of the options that says how maps are drawn."""
    return Drawing(**{part.name: getattr(options, part.name) for part in fields(Drawing)})


def used(options: ExplainOptions) -> list[str]:
    """The options that are used among those that other modes do not have."""
    values = {
        "--contours": options.contours is not None,
        "--cutout": options.cutout is not None,
        "--full-size": options.full_size,
        "--film": options.film is not None,
        "--bands": options.bands != "mean",
    }
    return [name for name, is_used in values.items() if is_used]


def reject_drawing(options: ExplainOptions, mode: str) -> None:
    """ValueError for options that a mode of the command does not have."""
    if options.text or options.text_file:
        raise ValueError(f"--text and --text-file are not for {mode}")
    for name in used(options):
        raise ValueError(f"{name} is not for {mode}, which draws its own pictures")


def validate_drawing(options: ExplainOptions) -> None:
    """ValueError for options that do not fit the kind of inputs."""
    if options.full_size and not options.image:
        raise ValueError("--full-size needs --image FILE, a photograph")
    for name in ("--film", "--bands"):
        if name in used(options) and not options.inputs:
            raise ValueError(f"{name} needs --inputs FILE; images of runs and of --image have neither depth nor bands")


def check_drawing(drawing: Drawing, traced: TracedModel) -> None:
    """ValueError for pictures that the inputs of a model cannot give, before anything is computed."""
    shapes: list[tuple[int | None, ...]] = [tuple(part.shape) for part in traced.parts]
    shapes = shapes or [tuple(traced.input_shape[1:])]
    takes = f"{traced.name!r} takes {', '.join(str((None, *shape)) for shape in shapes)}"
    if drawing.film and not any(len(shape) + 1 == VOLUMES for shape in shapes):
        raise ValueError(f"--film needs volumes or videos (N, D, H, W, C); {takes}")
    if drawing.cutout is not None and not any(len(shape) + 1 == IMAGES for shape in shapes):
        raise ValueError(f"--cutout needs images (N, H, W, C); {takes}")
    if drawing.bands != "mean":
        counts = [shape[0 if traced.is_channels_first else -1] for shape in shapes if len(shape) + 1 >= IMAGES]
        many = [count for count in counts if count is not None and count > 3]
        if not many:
            raise ValueError(f"--bands needs images with more than three channels; {takes}")
        for count in many:
            check_bands(drawing.bands, count)


def write_cutouts(request: Request, single: Explanation, pixels: Array, titles: Sequence[str], note: str = "") -> Path:
    """Write the images with all but the part of the map above the threshold dimmed: `METHOD_cutout.png`."""
    threshold = request.drawing.cutout or 0
    cut = render.cutout(pixels, masks(single, threshold))
    level = "Otsu's level" if threshold == "otsu" else f"{threshold} of the maximum"
    at = f" at layer {single.layer}" if single.layer else ""
    caption = request.caption(f"{single.method}{at}{note} · dimmed: where the map is below {level}")
    figure = render.originals(cut, titles, caption)
    return render.save(figure, request.folder / f"{single.method}_cutout.png")


def write_array_cutouts(request: Request, explanation: Explanation, titles: Sequence[str]) -> list[Path]:
    """`write_cutouts` of the first input that is images."""
    single, arrays = one_target(explanation), request.images.arrays
    if isinstance(single.maps, dict):
        name = next(name for name, maps in single.maps.items() if np.ndim(maps) + 1 == IMAGES)
        single, arrays = single.input(name), arrays[name]
    images, bands = channels_last(arrays, np.shape(single.maps)), request.drawing.bands
    return [write_cutouts(request, single, pixels_of(images, bands), titles, bands_title(images.shape[-1], bands))]


def write_full_size(request: Request, single: Explanation, boxes: Sequence | None) -> list[Path]:
    """Write the overlay of each photograph, with `--cutout` also its cut-out: `METHOD-NUMBER-NAME.png`."""
    written, drawing = [], request.drawing
    for number, file in enumerate(request.image or []):
        one = single[number]
        photograph = _photograph(request, file, one.maps.shape[-2:])[None]
        drawn = render.overlay(one, photograph, drawing.alpha, request.colors, drawing.contours, resize=True)
        if boxes is not None:
            scale = np.tile(np.divide(photograph.shape[1:3], one.maps.shape[-2:]), 2)
            drawn = render.draw_boxes(drawn, [[np.multiply(box[:4], scale) for box in boxes[number]]])
        name = request.folder / f"{single.method}-{number}-{Path(file).stem}"
        written.append(render.save_png(render.as_png(drawn[0]), f"{name}.png"))
        if drawing.cutout is not None:
            cut = render.cutout(photograph, masks(one, drawing.cutout))
            written.append(render.save_png(render.as_png(cut[0]), f"{name}-cutout.png"))
    return written


def write_films(request: Request, explanation: Explanation) -> list[Path]:
    """Write a film of each input that is a volume or a video: `METHOD.gif`, of several inputs `METHOD-INPUT.gif`."""
    single = one_target(explanation)
    named = single.maps if isinstance(single.maps, dict) else {"": single.maps}
    arrays, drawing, written = request.images.arrays, request.drawing, []
    for name in (name for name, maps in named.items() if np.ndim(maps) + 1 == VOLUMES):
        one, array = (single.input(name), arrays[name]) if name else (single, arrays)
        path = request.folder / f"{single.method}{f'-{name}' if name else ''}.{drawing.film}"
        style: dict[str, Any] = {"alpha": drawing.alpha, "colormap": request.colors, "contours": drawing.contours}
        written.append(
            render.explanation_film(one, array, path, bands=drawing.bands, titles=request.images.sources, **style)
        )
    return written


def _photograph(request: Request, file: str, least: tuple[int, ...]) -> Array:
    """The pixels of an image file; a file smaller than the inputs of the model is enlarged to their size."""
    image = read_image(file).pixels
    height, width = (max(pair) for pair in zip(image.shape, least))
    if (height, width) != image.shape[:2]:
        request.say(f"{file}: smaller than the map, so its overlay has {width}x{height} pixels")
    return render.fit(image, (height, width, image.shape[-1]))


def highest(explanation: Explanation, count: int) -> Explanation:
    """The `count` targets with the highest scores of each example, in the order of the classes."""
    best = np.sort(np.argsort(-explanation.scores, axis=1)[:, :count], axis=1)
    return _targets(explanation, lambda part: part[np.arange(len(best))[:, None], best])


def one_target(explanation: Explanation) -> Explanation:
    """One map per example and input: that of the target with the highest score."""
    if np.ndim(explanation.scores) == 1:
        return explanation
    best = explanation.scores.argmax(axis=1)
    return _targets(explanation, lambda part: part[np.arange(len(best)), best])


def _targets(explanation: Explanation, select: Callable[[Array], Array]) -> Explanation:
    parts = {name: getattr(explanation, name) for name in PER_IMAGE}
    found = {name: part for name, part in parts.items() if part is not None}
    return replace(explanation, **keras.tree.map_structure(select, found))
