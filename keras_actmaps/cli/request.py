"""Question: what explain.py was asked, as those who answer it need it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from keras_actmaps import data as datasets
from keras_actmaps.cli.inputs import Images, Subject, find_data, find_images
from keras_actmaps.core.traced_model import TracedModel


@dataclass(frozen=True, eq=False)
class Request:
    """Who is asked, what about, and where and how the answer is written.

    probe: of the subject's model at its default layer; None, as the model, where there is only a data set.
    target: as `explain` takes it. layer: as it was given, or the path of the number that was given.
    image, index, split, data_dir: where the images come from. boxes: the threshold of `kam.boxes`; None draws none.
    """

    subject: Subject
    probe: TracedModel | None
    folder: Path
    target: int | str | None = None
    layer: str | None = None
    image: list[str] | None = None
    index: list[int] | None = None
    split: str = "test"
    data_dir: str | None = None
    colormap: str | None = None
    alpha: float = 0.5
    say: Callable = print
    boxes: float | str | None = None

    @cached_property
    def probe_at_layer(self) -> TracedModel:
        """The model at the layer that was given; ValueError for one that there is not."""
        return TracedModel(self.subject.model, self.layer) if self.layer else self.probe

    @cached_property
    def images(self) -> Images:
        """The images, found when they are first needed; ValueError or OSError where there are none."""
        return find_images(self.subject, self.image, self.index, self.split, self.data_dir, self.say)

    @property
    def has_images(self) -> bool:
        """Whether any have been needed."""
        return "images" in self.__dict__

    @property
    def colours(self) -> str:
        """The colour map of maps."""
        return self.colormap or "turbo"

    @property
    def pixels(self) -> np.ndarray:
        """The images as uint8 (N,H,W,C)."""
        return self.subject.pixels(self.images.arrays)

    @cached_property
    def titles(self) -> list[str]:
        """Of each image what is true and what is predicted, as far as that is known; one or two lines."""
        known = [[] for _ in self.images.arrays]
        if self.images.labels is not None:
            known = [[f"true: {self.subject.name(label)}"] for label in self.images.labels]
        if self.subject.model is not None:
            outputs = self.subject.model.predict(self.images.arrays, verbose=0)
            for lines, row in zip(known, outputs.reshape(len(outputs), -1)):
                lines.append(f"predicted: {self.subject.name(int(row.argmax()))}")
        return ["\n".join(lines) for lines in known]

    def data(self) -> datasets.Data:
        """The data set of the subject's run; ValueError where there is no run."""
        return find_data(self.subject, self.data_dir)

    def caption(self, words: str) -> str:
        """Words for the head of a picture, with the data's notice where it has one."""
        return " · ".join(filter(None, [words, self.subject.notice]))
