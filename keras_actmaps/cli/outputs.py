"""Attribution maps for explain.py: asked of one method or of several, written as pictures and raw numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from keras_actmaps import render
from keras_actmaps.cli.request import Request
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.files import save_rows
from keras_actmaps.core.progress import reporting
from keras_actmaps.methods import explain
from keras_actmaps.metrics import boxes

PANELS, SHEET, BOXES = "activation_map.png", "all.png", "boxes.csv"
MOST_PANELS = 12  # of classes in one picture; where there are more, those of the highest scores


def explain(asked: Request, method: str, settings: dict) -> Explanation:
    """The maps of one method, with a bar while it takes long."""
    with reporting(asked.probe_at_layer, method):
        return explain.explain(asked.probe_at_layer, asked.images.arrays, method, targets=asked.target, **settings)


def write(asked: Request, explanations: list[Explanation], sheet: bool) -> list[Path]:
    """Each method's maps and picture, one panel a class where there are all, and with `sheet` the contact sheet.

    Where boxes are asked for, they are in the pictures and in a table.
    """
    written = []
    panels = next((e for e in explanations if e.maps.ndim == 4), None)
    if panels is None and any(e.method == "cam" for e in explanations):
        panels = explain.explain(asked.probe_at_layer, asked.images.arrays, "cam", targets="all")
    singles = [_single(explanation) for explanation in explanations]
    boxes = [boxes.boxes(single, asked.boxes) if asked.boxes is not None else None for single in singles]
    for explanation, single, found in zip(explanations, singles, boxes):
        written.append(explanation.save(asked.folder / f"{explanation.method}.npz"))
        words = [f"{title}\nmap for {asked.subject.name(int(target))}, logit {score:.1f}"
                 for title, target, score in zip(asked.titles, single.targets, single.scores)]  # fmt: skip
        caption, truth = _caption(asked, single), asked.images.truth.get("boxes")
        figure = render.picture(single, asked.pixels, words, caption, asked.alpha, asked.colours, found, truth)
        written.append(render.save(figure, asked.folder / f"{explanation.method}.png"))
    if asked.boxes is not None and singles:
        written.append(_table(asked, singles, boxes))
    if panels is not None:
        written.append(render.save(_panels(asked, panels), asked.folder / PANELS))
    if sheet and singles:
        caption = asked.caption("raw maps, each at its own scale; red for, blue against")
        figure = render.contact_sheet(singles, asked.pixels, asked.titles, caption, asked.colours)
        written.append(render.save(figure, asked.folder / SHEET))
    return written


def target_in_words(asked: Request) -> str:
    """`the predicted class`, `all classes` or the class."""
    words = {None: "the predicted class", "all": "all classes"}
    return words[asked.target] if asked.target in words else asked.subject.name(asked.target)


def _panels(asked: Request, panels: Explanation):
    """One panel a class."""
    panels = _highest(panels, MOST_PANELS)
    names = [[f"{asked.subject.name(int(target))}: {score:.1f}" for target, score in zip(*row)]
             for row in zip(panels.targets, panels.scores)]  # fmt: skip
    caption = f"{_caption(asked, panels)} · logits above the maps, one scale for all classes"
    return render.class_panels(panels, asked.pixels, asked.titles, names, caption, asked.colours)


def _caption(asked: Request, explanation: Explanation) -> str:
    at = f" at layer {explanation.layer}" if explanation.layer else ""
    if asked.boxes is None:
        return asked.caption(explanation.method + at)
    level = "Otsu's level" if asked.boxes == "otsu" else f"{asked.boxes} of the maximum"
    true = " · white: the true box" if "boxes" in asked.images.truth else ""
    return asked.caption(f"{explanation.method}{at} · box above {level}{true}")


def _table(asked: Request, singles: list[Explanation], boxes: list) -> Path:
    """The boxes of all methods as CSV: pixels, half open."""
    lines = [("method", "image", "target", "y0", "x0", "y1", "x1", "score")]
    for single, found in zip(singles, boxes):
        for source, target, of_image in zip(asked.images.sources, single.targets, found):
            lines += [(single.method, source, asked.subject.name(int(target)), *box) for box in of_image]
    return save_rows(asked.folder / BOXES, lines)


def _highest(explanation: Explanation, count: int) -> Explanation:
    """The `count` targets of the highest scores of each image, in the order of the classes."""
    best = np.sort(np.argsort(-explanation.scores, axis=1)[:, :count], axis=1)
    rows = np.arange(len(best))[:, None]
    return replace(explanation, maps=explanation.maps[rows, best], targets=explanation.targets[rows, best],
                   scores=explanation.scores[rows, best])  # fmt: skip


def _single(explanation: Explanation) -> Explanation:
    """One map an image: of the target of the highest score."""
    if explanation.maps.ndim == 3:
        return explanation
    best = _highest(explanation, 1)
    return replace(best, maps=best.maps[:, 0], targets=best.targets[:, 0], scores=best.scores[:, 0])
