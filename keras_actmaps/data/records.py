"""What every data set hands over: a record of facts and three lazily built tf.data pipelines."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tensorflow as tf

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Info:
    """Facts about a data set.

    `scale` is the normalisation: the pipelines give float32 images of `pixel / scale`.
    `counts` holds the number of images of each split; `notice`, if any, belongs wherever the data is shown.
    """

    name: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    counts: dict[str, int]
    source: str
    scale: float = 255.0
    notice: str = ""

    def normalise(self, pixels) -> np.ndarray:
        """Pixels 0..255 of any type -> float32 as the model takes them."""
        return np.asarray(pixels, "float32") / np.float32(self.scale)

    def display(self, images) -> np.ndarray:
        """The inverse of `normalise`: images as the model takes them -> uint8 pixels."""
        return np.clip(np.rint(np.asarray(images, "float32") * self.scale), 0, 255).astype("uint8")


class Data:
    """A data set: `.train`, `.validation` and `.test` give batches `(images (N,H,W,C), labels (N,))`.

    `truth(split)` gives the same images in the order of the file with what scoring needs and the model must
    not see: `(images, labels, {"position": ...})`, or masks and head boxes, or an empty dictionary.
    """

    def __init__(self, info: Info, build: Callable[[str, bool], tf.data.Dataset]):
        self.info = info
        self._build = build

    @cached_property
    def train(self) -> tf.data.Dataset:
        """Shuffled anew in every epoch, augmented."""
        return _without_truth(self._build("train", True))

    @cached_property
    def validation(self) -> tf.data.Dataset:
        return _without_truth(self._build("validation", False))

    @cached_property
    def test(self) -> tf.data.Dataset:
        return _without_truth(self._build("test", False))

    def truth(self, split: str = "test") -> tf.data.Dataset:
        if split not in SPLITS:
            raise ValueError(f"no split {split!r}; there are: {', '.join(SPLITS)}")
        return self._build(split, False)


def _without_truth(dataset: tf.data.Dataset) -> tf.data.Dataset:
    return dataset.map(lambda images, labels, truth: (images, labels)).prefetch(tf.data.AUTOTUNE)


def limited(counts: dict[str, int], limit: int | None) -> dict[str, int]:
    """The counts with at most `limit` images in each split."""
    if limit is None:
        return counts
    if limit < 1:
        raise ValueError(f"limit={limit} leaves no image; give a number of images from 1 up")
    return {split: min(count, limit) for split, count in counts.items()}
