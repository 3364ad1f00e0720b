"""Album: the pictures of a model's maps in the course of a fit, and the strip of them all."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from keras_actmaps import render
from keras_actmaps.callbacks.image_source import ImageSource
from keras_actmaps.callbacks.snapshot import SHOWN, Snapshot
from keras_actmaps.core.explanation import Explanation, first_of
from keras_actmaps.core.validation import PREDICTED
from keras_actmaps.metrics import energy_pointing

COLUMNS, FRAMES = 12, 60  # turns of a strip and of a film; of more these, evenly chosen, with the first and the last
SPEED = 2  # frames a second
DIGITS = {"epoch": 3, "batch": 6}
RULE = "an overlay is the map's positive part divided by its maximum"


@dataclass(frozen=True, eq=False)
class History:
    """A folder with the turns of a fit. kind: "epoch" or "batch". events: where TensorBoard's files go, or None."""

    watched: ImageSource
    folder: Path
    kind: str = "epoch"
    events: object = None

    def keep(self, turn: Snapshot) -> None:
        """Write a turn: its raw maps, its picture, and what TensorBoard shows; OSError where that cannot be done."""
        explanation = turn.explanation
        self.folder.mkdir(parents=True, exist_ok=True)
        versions = explanation.versions | {"images": self._fingerprint}
        replace(explanation, versions=versions).save(self._path(turn.number))
        shown = first_of(explanation, SHOWN)
        picture = render.cards(shown, self.watched.images[:SHOWN], self._titles(turn), self._caption(turn))
        png = render.as_png(picture)
        render.save_png(png, self._path(turn.number, ".png"))
        if self.events is not None:
            name = explanation.method
            numbers = {f"{name}/{metric}": value for metric, value in turn.values.items()}
            self.events.add(turn.number, {f"{name}/images": png}, {f"{name}/maps": explanation.maps}, numbers)

    def earlier(self, number: int, like: Explanation) -> list[int]:
        """The turns before a number that are on disk already, from a fit that this one resumes.

        None where they are of other images or of another method or layer.
        """
        pattern = re.compile(rf"{self.kind}-(\d+)\.npz")
        found = sorted(int(match[1]) for path in self.folder.glob("*.npz") if (match := pattern.fullmatch(path.name)))
        found = [one for one in found if one < number]
        return found if found and self._fits(Explanation.load(self._path(found[-1])), like) else []

    def close(self, numbers: Sequence[int]) -> list[Path]:
        """Draw the strip and the film of the turns that are on disk."""
        numbers = evenly([number for number in numbers if self._path(number).is_file()], FRAMES)
        if not numbers:
            return []
        pages = [self._page(number) for number in numbers]
        chosen = [pages[number] for number in evenly(range(len(pages)), COLUMNS)]
        pixels, names = render.pixels(self.watched.images[:SHOWN]), self._names()
        method, notice = pages[0].method, self.watched.notice
        more = f"{len(chosen)} of {len(numbers)} turns" if len(chosen) < len(numbers) else ""
        rule = f"{RULE}, above it its score, and of which class if not of the true one"
        caption = _joined(f"{method} from turn to turn", self._part(), more, rule, notice)
        if self.watched.masks is not None:
            caption += "\nin mask: the share of the maps' positive part that lies on the object, the mean of all images"
        headers, words = [page.header for page in chosen], [page.words for page in chosen]
        picture = render.strip([page.frames for page in chosen], pixels, names, headers, words, caption)
        captions = [_joined(method, *page.header, notice) for page in pages]
        return [
            render.save_png(render.as_png(picture), self.folder / "strip.png"),
            render.film([page.frames for page in pages], names, captions, self.folder / "strip.gif", SPEED),
        ]

    @cached_property
    def _fingerprint(self) -> str:
        """What tells these images from others."""
        return f"{zlib.crc32(np.ascontiguousarray(self.watched.images)):08x}"

    def _fits(self, found: Explanation, like: Explanation) -> bool:
        same = (getattr(found, name) == getattr(like, name) for name in ("method", "layer"))
        return found.versions.get("images") == self._fingerprint and all(same)

    def _path(self, number: int, ending: str = ".npz") -> Path:
        return self.folder / f"{self.kind}-{number:0{DIGITS[self.kind]}d}{ending}"

    def _page(self, number: int) -> "Page":
        """A turn on disk as a strip shows it."""
        explanation = Explanation.load(self._path(number))
        header = [f"{self.kind} {number}"]
        if self.watched.masks is not None:
            shares = energy_pointing(explanation, self.watched.masks)
            header.append(f"{np.nanmean(shares):.0%} in mask" if np.isfinite(shares).any() else "empty masks")
        shown = first_of(explanation, SHOWN)
        asked = zip(shown.targets.tolist(), shown.scores)
        words = [self._score(number, target, score) for number, (target, score) in enumerate(asked)]
        frames = render.overlay(shown, self.watched.images[:SHOWN])
        return Page(explanation.method, header, words, frames)

    def _score(self, number: int, target: int, score: float) -> str:
        """The score of an image's map, and of which class it is, where that is not the true one."""
        if target == PREDICTED:  # which stands for a function of the outputs
            return f"{score:.3g}"
        is_true = self.watched.labels is not None and self.watched.labels[number] == target
        return f"logit {_short(score)}" if is_true else f"{_short(score)} {self.watched.name(target)}"

    def _names(self) -> list[str]:
        labels, count = self.watched.labels, min(SHOWN, len(self.watched.images))
        if labels is None:
            return [f"image {number}" for number in range(count)]
        return [f"true: {self.watched.name(label)}" for label in labels[:count].tolist()]

    def _titles(self, turn: Snapshot) -> list[tuple[str, str]]:
        """Of each image what is true and what is predicted, and what its map is for."""
        shown, titles = first_of(turn.explanation, SHOWN), []
        for number, (true, target, score) in enumerate(zip(self._names(), shown.targets.tolist(), shown.scores)):
            predicted = "" if turn.predicted is None else f"predicted: {self.watched.name(int(turn.predicted[number]))}"
            asked = f"score {score:.3g}"
            if target != PREDICTED:
                asked = f"map for {self.watched.name(target)}, logit {_short(score)}"
            titles.append((_joined(true, predicted), asked))
        return titles

    def _caption(self, turn: Snapshot) -> str:
        values = [f"{metric} {value:.3f}" for metric, value in turn.values.items()]
        at = f" at layer {turn.explanation.layer}" if turn.explanation.layer else ""
        first = _joined(f"{turn.explanation.method}{at}, {self.kind} {turn.number}", *values, self._part())
        return f"{first}\n{_joined(f'image, raw map at its own scale, overlay: {RULE}', self.watched.notice)}"

    def _part(self) -> str:
        count = len(self.watched.images)
        return f"the first {SHOWN} of {count} images" if count > SHOWN else ""


@dataclass(frozen=True)
class Page:
    """A turn as a strip shows it."""

    method: str
    header: list[str]
    words: list[str]
    frames: np.ndarray


def evenly(items: Sequence, most: int) -> list:
    """At most so many of the items, evenly spread, with the first and the last."""
    places = np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)
    return [items[place] for place in places]


def _short(score: float) -> str:
    return f"{round(float(score), 1) + 0.0:.1f}"  # without -0.0


def _joined(*words: str) -> str:
    return " · ".join(filter(None, words))
