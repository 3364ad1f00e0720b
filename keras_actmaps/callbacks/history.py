"""History: the snapshots of a fit as files, and the strip that shows them side by side."""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from keras_actmaps import render
from keras_actmaps.callbacks.image_source import ImageSource
from keras_actmaps.callbacks.schedule import Unit
from keras_actmaps.callbacks.snapshot import SHOWN, Snapshot
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.metrics import energy_pointing

if TYPE_CHECKING:
    from keras_actmaps.core.event_files import EventWriter

T = TypeVar("T")
MAX_COLUMNS, MAX_FRAMES = 12, 60  # snapshots in a strip and in a film; more are thinned out evenly
FRAMES_PER_SECOND = 2
DIGITS = {"epoch": 3, "batch": 6}
OVERLAY = "overlay: positive part of the map, divided by its maximum"
STRIPES = "stripes: input in gray, and raw map on its own scale, if signed in red and blue"
IN_MASK = "in mask: share of the map's positive part that lies inside the object's mask, mean over all images"


@dataclass(frozen=True, eq=False)
class History:
    """A folder with the snapshots of a fit.

    Attributes
    ----------
    source : ImageSource
    folder : Path
    unit : {"epoch", "batch"}
        Unit of the snapshots' numbers.
    writer : EventWriter or None
        Writer of the same pictures for TensorBoard.
    style : mapping
        How maps are drawn: alpha, contours and bands as for `render.overlay`.
    """

    source: ImageSource
    folder: Path
    unit: Unit = "epoch"
    writer: "EventWriter | None" = None
    style: Mapping[str, Any] = field(default_factory=dict)

    def add(self, snapshot: Snapshot) -> None:
        """Write the raw maps and the picture of a snapshot, and its event for TensorBoard; OSError if that fails."""
        explanation = snapshot.explanation
        self.folder.mkdir(parents=True, exist_ok=True)
        versions = dict(explanation.versions) | {"images": self._checksum}
        replace(explanation, versions=versions).save(self.path(snapshot.number))
        shown, images = explanation[:SHOWN], self.source.images[:SHOWN]
        picture = self._picture(shown, images, self.titles(snapshot), snapshot)
        render.save_png(render.as_png(picture), self.path(snapshot.number, ".png"))
        if self.writer is not None:
            name = explanation.method
            scalars = {f"{name}/{metric}": value for metric, value in snapshot.values.items()}
            self.writer.add(snapshot.number, {f"{name}/images": picture}, {f"{name}/maps": explanation.maps}, scalars)

    def earlier(self, before: int, like: Explanation) -> list[int]:
        """The numbers below `before` of the snapshots that are on disk, from a fit that this one resumes.

        Empty if these are of other images, another method or another layer than `like`.
        """
        pattern = re.compile(rf"{self.unit}-(\d+)\.npz")
        matches = [pattern.fullmatch(path.name) for path in self.folder.glob("*.npz")]
        numbers = sorted(int(match[1]) for match in matches if match and int(match[1]) < before)
        return numbers if numbers and self._continues(Explanation.load(self.path(numbers[-1])), like) else []

    def finish(self, numbers: Sequence[int]) -> list[Path]:
        """Draw the strip and the film of the snapshots that are on disk, and return their paths."""
        existing = evenly([number for number in numbers if self.path(number).is_file()], MAX_FRAMES)
        if not existing:
            return []
        columns = [self._column(number) for number in existing]
        chosen = evenly(columns, MAX_COLUMNS)
        selection = f"{len(chosen)} of {len(existing)} snapshots" if len(chosen) < len(existing) else ""
        method, notice, names = columns[0].method, self.source.notice, self._image_names()
        legend = f"{self._legend}; above: the score of the map, with the class where it is not the true one"
        caption = _join(f"{method} during training", self._image_count(), selection, legend, notice)
        if self.source.masks is not None:
            caption += f"\n{IN_MASK}"
        headers, scores = [column.header for column in chosen], [column.scores for column in chosen]
        frames, images = [column.frames for column in chosen], self.source.images[:SHOWN]
        pixels = render.input_thumbnails(images, self.style.get("bands", "mean"))
        strip = render.strip(frames, pixels, names, headers, scores, caption)
        captions = [_join(method, *column.header, notice) for column in columns]
        frames = [column.frames for column in columns]
        return [
            render.save_png(render.as_png(strip), self.folder / "strip.png"),
            render.film(frames, names, captions, self.folder / "strip.gif", FRAMES_PER_SECOND),
        ]

    def path(self, number: int, suffix: str = ".npz") -> Path:
        """The file of a snapshot."""
        return self.folder / f"{self.unit}-{number:0{DIGITS[self.unit]}d}{suffix}"

    def titles(self, snapshot: Snapshot) -> list[tuple[str, str]]:
        """Two lines per image: its true and predicted class, and the target of its map."""
        shown, predicted = snapshot.explanation[:SHOWN], snapshot.predicted
        titles = []
        for number, (name, score) in enumerate(zip(self._image_names(), shown.scores)):
            guess = "" if predicted is None else f"predicted: {self.source.class_name(int(predicted[number]))}"
            has_name = shown.target_name not in (None, "<lambda>")
            explained = f"{shown.target_name}: {score:.3g}" if has_name else f"score {score:.3g}"
            if shown.targets is not None:
                target = self.source.class_name(int(shown.targets[number]))
                explained = f"map for {target}, logit {_one_decimal(score)}"
            titles.append((_join(name, guess), explained))
        return titles

    @cached_property
    def _checksum(self) -> str:
        """A checksum that distinguishes these images from others."""
        return f"{zlib.crc32(np.ascontiguousarray(self.source.images).data):08x}"

    def _continues(self, found: Explanation, like: Explanation) -> bool:
        is_same = (found.method, found.layer) == (like.method, like.layer)
        return is_same and found.versions.get("images") == self._checksum

    def _column(self, number: int) -> "Column":
        """The column of the strip for a snapshot on disk."""
        explanation = Explanation.load(self.path(number))
        header = [f"{self.unit} {number}"]
        if self.source.masks is not None:
            shares = energy_pointing(explanation, self.source.masks)
            header.append(f"{np.nanmean(shares):.0%} in mask" if np.isfinite(shares).any() else "empty masks")
        shown = explanation[:SHOWN]
        scores = [self._score(shown, number) for number in range(len(shown))]
        frames = render.map_thumbnails(shown, self.source.images[:SHOWN], **self.style)
        return Column(explanation.method, header, scores, frames)

    def _score(self, explanation: Explanation, image: int) -> str:
        """The score of an image's map, with its class if that is not the true one."""
        score = explanation.scores[image]
        if explanation.targets is None:
            return f"{score:.3g}"
        target, labels = int(explanation.targets[image]), self.source.labels
        is_true = labels is not None and labels[image] == target
        number = _one_decimal(score)
        return f"logit {number}" if is_true else f"{number} {self.source.class_name(target)}"

    def _image_names(self) -> list[str]:
        labels, count = self.source.labels, min(SHOWN, len(self.source.images))
        if labels is None:
            return [f"image {number}" for number in range(count)]
        return [f"true: {self.source.class_name(label)}" for label in labels[:count].tolist()]

    def _picture(self, shown: Explanation, images: Array, titles: list[tuple[str, str]], snapshot: Snapshot) -> Array:
        """Cards of images; a figure of inputs of any other rank."""
        caption = self._caption(snapshot)
        if images.ndim == 4:
            return render.cards(shown, images, titles, caption, **self.style)
        lines = ["\n".join(title) for title in titles]
        figure = render.explanation_figure(shown, images, titles=lines, caption=caption, **self.style)
        return render.figure_pixels(figure)

    @property
    def _legend(self) -> str:
        """What the colors of a strip mean."""
        return STRIPES if self.source.images.ndim < 4 else self._overlay

    @property
    def _overlay(self) -> str:
        """What an overlay shows."""
        contours = self.style.get("contours")
        return OVERLAY if contours is None else f"{OVERLAY}; line: {contours} of the maximum"

    def _caption(self, snapshot: Snapshot) -> str:
        explanation = snapshot.explanation
        values = [f"{metric} {value:.3f}" for metric, value in snapshot.values.items()]
        layer = f" at layer {explanation.layer}" if explanation.layer else ""
        first = f"{explanation.method}{layer}, {self.unit} {snapshot.number}"
        legend = "raw maps"
        if self.source.images.ndim >= 4:
            legend = f"image; raw map on its own scale; {self._overlay}"
        return f"{_join(first, *values, self._image_count())}\n{_join(legend, self.source.notice)}"

    def _image_count(self) -> str:
        count = len(self.source.images)
        return f"the first {SHOWN} of {count} images" if count > SHOWN else ""


@dataclass(frozen=True)
class Column:
    """A column of a strip: lines above it, and a score and an overlay (H, W, 3) per image."""

    method: str
    header: list[str]
    scores: list[str]
    frames: Array


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, evenly spread, with the first and the last."""
    indices = np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)
    return [items[index] for index in indices]


def _one_decimal(score: float) -> str:
    return f"{round(float(score), 1) + 0.0:.1f}"  # adding 0 converts -0.0 to 0.0


def _join(*parts: str) -> str:
    return " · ".join(filter(None, parts))
