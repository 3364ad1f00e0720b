"""Attribution maps of the command explain: computed, and written as pictures, boxes and raw numbers."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_actmaps import render
from keras_actmaps.cli.choices import Choice
from keras_actmaps.cli.pictures import (
    highest,
    one_target,
    write_array_cutouts,
    write_cutouts,
    write_films,
    write_full_size,
)
from keras_actmaps.cli.request import Request
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.files import save_rows
from keras_actmaps.core.progress import progress
from keras_actmaps.core.targets import Difference
from keras_actmaps.methods.explain import explain
from keras_actmaps.metrics.boxes import boxes as boxes_of

PANELS, SHEET, BOXES = "activation_map.png", "all.png", "boxes.csv"
MAX_PANELS = 12  # classes in one picture, those with the highest scores


def explain_by(request: Request, choice: Choice) -> Explanation:
    """The maps by one method, with a progress bar."""
    with progress(choice.name) as report:
        return explain(
            request.traced_at_layer,
            request.images.arrays,
            choice.name,
            targets=request.target,
            report=report,
            **choice.settings,
        )


def write_maps(request: Request, explanations: list[Explanation], sheet: bool) -> list[Path]:
    """Write the maps and the picture of each method, and the pictures that combine several.

    Parameters
    ----------
    request : Request
    explanations : list of Explanation
        One per method.
    sheet : bool
        Whether to write the contact sheet of all methods, `all.png`.

    Returns
    -------
    list of Path
        The paths written, with boxes also `boxes.csv`; for maps of all classes, or by CAM, also one panel per class,
        `activation_map.png`.
    """
    written: list[Path] = []
    panels = next((e for e in explanations if e.scores.ndim == 2), None)
    if panels is None and any(e.method == "cam" for e in explanations):
        panels = explain(request.traced_at_layer, request.images.arrays, "cam", targets="all")
    singles = [one_target(explanation) for explanation in explanations]
    boxes = [_boxes(request, single) for single in singles]
    for explanation, single, found in zip(explanations, singles, boxes):
        _say_layer(request, explanation)
        written.append(explanation.save(request.folder / f"{explanation.method}.npz"))
        figure = _picture(request, single, found)
        written.append(render.save(figure, request.folder / f"{explanation.method}.png"))
        if request.drawing.cutout is not None:
            written.append(write_cutouts(request, single, request.pixels, request.titles))
        if request.drawing.full_size:
            written += write_full_size(request, single, found)
    if request.boxes is not None and singles:
        written.append(_write_boxes(request, singles, boxes))
    if panels is not None:
        written.append(render.save(_panels(request, panels), request.folder / PANELS))
    if sheet and singles:
        caption = request.caption("raw maps, each on its own scale; red: positive, blue: negative")
        figure = render.contact_sheet(singles, request.pixels, request.titles, caption, request.colors)
        written.append(render.save(figure, request.folder / SHEET))
    return written


def write_figures(request: Request, explanations: list[Explanation]) -> list[Path]:
    """Write the maps and a figure of inputs that are no images of a data set, by each method, and films of volumes."""
    written: list[Path] = []
    for explanation in explanations:
        _say_layer(request, explanation)
        written.append(explanation.save(request.folder / f"{explanation.method}.npz"))
        titles = _example_titles(request, explanation)
        drawing, caption = request.drawing, _caption(request, explanation, "raw maps")
        figure = render.explanation_figure(
            explanation,
            request.images.arrays,
            request.colors,
            drawing.bands,
            drawing.alpha,
            drawing.contours,
            request.images.names,
            titles,
            caption,
        )
        written.append(render.save(figure, request.folder / f"{explanation.method}.png"))
        written += write_films(request, explanation) if drawing.film else []
        written += write_array_cutouts(request, explanation, titles) if drawing.cutout is not None else []
    return written


def _example_titles(request: Request, explanation: Explanation) -> list[str]:
    """The source of each example, with the score where it is one, which is also printed."""
    if np.ndim(explanation.scores) == 2:
        return request.images.sources
    names, word = _target_names(request, explanation), _word(explanation)
    titles = []
    for source, name, score in zip(request.images.sources, names, explanation.scores):
        request.say(f"{source}: {explanation.method} for {name}, {word} {score:.2f}")
        titles.append(f"{source}\n{name}, {word} {score:.2f}")
    return titles


def describe_target(request: Request) -> str:
    """The target as text: `the predicted class`, `all classes` or the name of the class, or of two."""
    if isinstance(request.target, int):
        return request.subject.name(request.target)
    if isinstance(request.target, Difference):
        numbers = (request.target.first, request.target.second)
        return " rather than ".join(request.subject.name(number) for number in numbers if isinstance(number, int))
    return "the predicted class" if request.target is None else "all classes"


def _boxes(request: Request, single: Explanation) -> list[Any] | None:
    """The boxes of each image; None if no boxes are drawn."""
    return None if request.boxes is None else boxes_of(single, request.boxes)


def _picture(request: Request, single: Explanation, boxes: list[Any] | None) -> Any:
    """A row per image: the image, the map and the overlay."""
    space = " " if single.targets is not None else "\n"  # two names fill a line
    titles = [
        f"{title}\nmap for {name},{space}{_word(single)} {round(float(score), 1) + 0.0:.1f}"
        for title, name, score in zip(request.titles, _target_names(request, single), single.scores)
    ]
    truth = request.images.truth.get("boxes")
    caption = _caption(request, single)
    alpha, contours = request.drawing.alpha, request.drawing.contours
    return render.picture(
        single, request.pixels, titles, caption, alpha, request.colors, boxes, truth, contours=contours
    )


def _panels(request: Request, panels: Explanation) -> Any:
    """One panel per class."""
    panels = highest(panels, MAX_PANELS)
    names = [
        [f"{request.subject.name(int(target))}: {score:.1f}" for target, score in zip(*row)]
        for row in zip(np.asarray(panels.targets), panels.scores)
    ]
    caption = f"{_caption(request, panels)} · logits above the maps, one scale for all classes"
    return render.class_panels(panels, request.pixels, request.titles, names, caption, request.colors)


def _say_layer(request: Request, explanation: Explanation) -> None:
    """Print which layer was chosen, and why; nothing of a layer that the user chose."""
    if explanation.layer_reason is not None:
        request.say(f"{explanation.method} at layer {explanation.layer}: {explanation.layer_reason}")


def _caption(request: Request, explanation: Explanation, words: str = "") -> str:
    at = f" at layer {explanation.layer}" if explanation.layer else ""
    at += f", {words}" if words else ""
    if request.drawing.contours is not None:
        at += f" · line: {request.drawing.contours} of the maximum"
    if request.boxes is None:
        return request.caption(explanation.method + at)
    level = "Otsu's level" if request.boxes == "otsu" else f"{request.boxes} of the maximum"
    true = " · white: the true box" if "boxes" in request.images.truth else ""
    return request.caption(f"{explanation.method}{at} · box above {level}{true}")


def _write_boxes(request: Request, singles: list[Explanation], boxes: list[Any]) -> Path:
    """The boxes of all methods as CSV, in pixels, half open."""
    rows: list[tuple] = [("method", "image", "target", "y0", "x0", "y1", "x1", "score")]
    for single, found in zip(singles, boxes):
        for source, name, of_image in zip(request.images.sources, _target_names(request, single), found):
            rows += [(single.method, source, name, *box) for box in of_image]
    return save_rows(request.folder / BOXES, rows)


def _target_names(request: Request, single: Explanation) -> list[str]:
    """What the map of each image explains."""
    if single.targets is None:
        return [describe_target(request)] * len(single)
    return [request.subject.name(int(target)) for target in single.targets]


def _word(explanation: Explanation) -> str:
    """What a score is; the only targets of the command line besides classes are differences of classes."""
    return "logit" if explanation.targets is not None else "difference"
