"""The records that every data set returns: facts, and three tf.data pipelines that are built when they are needed."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from keras_actmaps.core.settings import Count, Ge, Le
from keras_actmaps.core.types import Array

SPLITS = ("train", "validation", "test")

BatchSize = Annotated[Count, "images per batch"]
Limit = Annotated[Annotated[int, Ge(1)] | None, "maximum number of images per split; None for all"]
ImageSize = Annotated[int, Ge(1), Le(4096), "height and width of the images in pixels"]


@dataclass(frozen=True)
class Info:
    """Facts about a data set.

    Attributes
    ----------
    name : str
    classes : tuple of str
        The class names, by label.
    image_shape : tuple
        (H, W, C) of an image, or (T,) of the token ids of a text.
    counts : dict
        The number of images of each split.
    source : str
        Where the data comes from, in words.
    scale : float
        The pipelines yield float32 images of `pixel / scale`.
    notice : str
        A remark that is shown with the data; may be empty.
    remarks : tuple of str
        What is said when a model is trained on the data, such as files that are skipped.
    vocabulary : tuple of str
        The word of each token id, where the data is texts.
    """

    name: str
    classes: tuple[str, ...]
    image_shape: tuple[int, ...]
    counts: dict[str, int]
    source: str
    scale: float = 255.0
    notice: str = ""
    remarks: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()

    def normalize(self, pixels: ArrayLike) -> Array:
        """Pixels 0..255 of any type as float32 images for the model."""
        return np.asarray(pixels, "float32") / np.float32(self.scale)

    normalise = normalize  # name of earlier versions

    def display(self, images: ArrayLike) -> Array:
        """Images for the model as uint8 pixels: the inverse of `normalize`."""
        return np.clip(np.rint(np.asarray(images, "float32") * self.scale), 0, 255).astype("uint8")


class Data:
    """A data set whose `.train`, `.validation` and `.test` yield batches (images (N, H, W, C), labels (N,)).

    Parameters
    ----------
    info : Info
    build : callable
        `build(split, epoch_seed)` returns a pipeline of (images, labels, truth): in a fixed order if `epoch_seed` is
        None, otherwise with augmentation and in an order that depend on nothing but this int64 tensor.
    seed : int
        That of the training split.
    check : callable, optional
        Raises ValueError for data that cannot be read.
    """

    def __init__(
        self,
        info: Info,
        build: Callable[[str, Any], tf.data.Dataset],
        seed: int,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.info, self.check = info, check
        self._build, self._seed = build, seed

    @cached_property
    def train(self) -> tf.data.Dataset:
        """The training split, with augmentation and a new order each time that it is iterated over."""
        seeds = tf.data.Dataset.random(self._seed, rerandomize_each_iteration=True).take(1)
        return _without_truth(seeds.flat_map(self._epoch))

    @cached_property
    def validation(self) -> tf.data.Dataset:
        """The validation split, in a fixed order."""
        return _without_truth(self._build("validation", None))

    @cached_property
    def test(self) -> tf.data.Dataset:
        """The test split, in a fixed order."""
        return _without_truth(self._build("test", None))

    def epochs(self, first: int = 0) -> tf.data.Dataset:
        """The training split epoch after epoch, without end, from epoch `first`.

        Order and augmentation of an epoch depend on its number and the seed only, so that training that starts at a
        later epoch sees the same batches as training that did not stop.
        """

        def epoch(number: tf.Tensor) -> tf.data.Dataset:
            place = tf.stack([tf.constant(self._seed, tf.int64), number])
            return self._epoch(tf.random.stateless_uniform((), place, 0, 2**62, tf.int64))

        return _without_truth(tf.data.Dataset.range(first, 2**62).flat_map(epoch))

    def _epoch(self, seed: tf.Tensor) -> tf.data.Dataset:
        tf.random.set_seed(1)  # of the function that is traced: its order depends on `seed` alone
        return self._build("train", seed)

    def truth(self, split: str = "test") -> tf.data.Dataset:
        """A split in a fixed order, with the ground truth that localization metrics need.

        Returns
        -------
        tf.data.Dataset
            Of (images, labels, truth), where `truth` is `{"position": ...}`, `{"mask": ..., "head_box": ...}` or
            empty; see `kam.data.masks` and `kam.data.boxes`.

        Raises
        ------
        ValueError
            For an unknown split.
        """
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
        return self._build(split, None)


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn the errors of a pipeline, whose text TensorFlow extends by a traceback, into a ValueError of one line."""
    try:
        yield
    except tf.errors.OpError as error:
        first = str(error.message).strip().splitlines()[0]
        raise ValueError(re.split(r"\b(?:ValueError|FileNotFoundError): ", first, maxsplit=1)[-1]) from error


def _without_truth(dataset: tf.data.Dataset) -> tf.data.Dataset:
    return dataset.map(lambda images, labels, truth: (images, labels)).prefetch(tf.data.AUTOTUNE)


def limit_counts(counts: dict[str, int], limit: int | None) -> dict[str, int]:
    """The counts with at most `limit` images in each split."""
    return counts if limit is None else {split: min(count, limit) for split, count in counts.items()}
