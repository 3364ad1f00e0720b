"""Request: the inputs and options of one run of the command explain, for maps and figures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from keras_actmaps.cli.arrays import images_from_arrays
from keras_actmaps.cli.drawing import Drawing
from keras_actmaps.cli.inputs import Images, Say, Stream, Subject, images_from_files, images_of_split
from keras_actmaps.core.graph import only_output
from keras_actmaps.core.targets import Difference
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array


@dataclass(frozen=True, eq=False)
class Request:
    """What is explained, and where and how the results are written.

    Attributes
    ----------
    subject : Subject
        The model and the available information on it.
    traced : TracedModel or None
        The model at its default layer; None, like `subject.model`, for a data set without a model.
    folder : Path
        Where files are written.
    target : int, "all", Difference or None
        As for `kam.explain`.
    layer : str or None
        As on the command line, with the path instead of an index.
    image, inputs, index, split, data_dir
        Options that select the images.
    colormap : str or None
        None is the default of each picture.
    drawing : Drawing
        How maps are drawn.
    say : callable
        Prints a line.
    boxes : float, "otsu" or None
        The threshold of `kam.boxes`; None draws no boxes.
    """

    subject: Subject
    traced: TracedModel | None
    folder: Path
    target: int | str | Difference | None = None
    layer: str | None = None
    image: Sequence[str] | None = None
    inputs: str | None = None
    index: Sequence[int] | None = None
    split: str = "test"
    data_dir: str | None = None
    colormap: str | None = None
    drawing: Drawing = field(default_factory=Drawing)
    say: Say = print
    boxes: float | str | None = None

    @cached_property
    def traced_at_layer(self) -> TracedModel:
        """The model at the layer of the command line; ValueError for an unknown layer."""
        if self.traced is None:
            raise ValueError("there is no model; pass --run or --model")
        return self.traced.at(self.layer) if self.layer else self.traced

    @cached_property
    def images(self) -> Images:
        """The images, read on first use; ValueError or OSError if there are none."""
        if self.inputs:
            return images_from_arrays(self.traced_at_layer, self.inputs)
        if self.image:
            return images_from_files(self.subject, self.traced, self.image, self.say)
        return images_of_split(self.subject, self.index, self.split, self.data_dir)

    @property
    def has_images(self) -> bool:
        """Whether the images have been read."""
        return "images" in self.__dict__

    @property
    def colors(self) -> str:
        """The color map of maps."""
        return self.colormap or "turbo"

    @property
    def pixels(self) -> Array:
        """The images as uint8 (N, H, W, C)."""
        return self.subject.pixels(self.images.arrays)

    @cached_property
    def titles(self) -> list[str]:
        """The true and the predicted class of each image, if known, in one or two lines."""
        lines: list[list[str]] = [[] for _ in self.images.arrays]
        for known, label in zip(lines, self.images.labels or []):
            known.append(f"true: {self.subject.name(label)}")
        for known, row in zip(lines, self._predictions()):
            is_class = len(row) > 1
            known.append(f"predicted: {self.subject.name(int(row.argmax()))}" if is_class else f"output: {row[0]:.3g}")
        return ["\n".join(known) for known in lines]

    def _predictions(self) -> Array:
        """The outputs (N, classes); empty if the outputs of the model are not class scores."""
        if self.subject.model is None or self.traced is None:
            return np.empty((0, 0))
        outputs = only_output(self.subject.model.predict(self.images.arrays, verbose=0))
        is_scores = isinstance(outputs, np.ndarray) and outputs.ndim == 2
        return outputs if is_scores else np.empty((0, 0))

    def stream(self) -> Stream:
        """The split of the data set of the subject's run; ValueError if there is no run."""
        return Stream(self.subject, self.split, self.data_dir)

    def caption(self, words: str) -> str:
        """The caption of a picture, with the notice of the data, if any."""
        return " · ".join(filter(None, [words, self.subject.notice]))
