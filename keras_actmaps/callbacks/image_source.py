"""ImageSource: the images that are explained repeatedly during a fit, with their ground truth."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.batching import iterate_batches
from keras_actmaps.core.labels import class_numbers
from keras_actmaps.core.settings import Count, Setting
from keras_actmaps.core.types import Array

if TYPE_CHECKING:
    from keras_actmaps.data.records import Data

LIMIT = 64  # images of a stream or data set by default
DRAWN = (4, 5, 3, 2)  # axes of inputs that can be drawn: of several inputs, images come first
_LIMIT = Setting("limit", Count | None, None, "maximum number of images")
_SPLIT = re.compile(r"(?P<name>.+?)(?::(?P<split>train|validation|test))?(?:\[(?P<first>\d*):(?P<end>\d*)\])?")


@dataclass(frozen=True, eq=False)
class ImageSource:
    """Images and their ground truth.

    Attributes
    ----------
    images : array of shape (N, H, W, C), (N, T, C), (N, F) or (N, D, H, W, C)
        Model inputs; of several inputs the one that is drawn.
    labels : array of int of shape (N,), or None
        The true classes.
    masks : array of bool of shape (N, H, W), or as the maps of other inputs; or None
        The pixels of the objects.
    classes : tuple of str
        Names of the classes, if known.
    notice : str
        A remark that is shown with the images; may be empty.
    several : dict or list of array, or None
        All inputs of a model with several.
    read_labels : array or None
        The labels as a stream has them, which are checked once the model is known.
    """

    images: Array
    labels: Array | None = None
    masks: Array | None = None
    classes: tuple[str, ...] = ()
    notice: str = ""
    several: Any = None
    read_labels: Array | None = None

    @property
    def inputs(self) -> Any:
        """What the model takes."""
        return self.images if self.several is None else self.several

    @property
    def truth(self) -> dict[str, Array]:
        """The ground truth for localization metrics."""
        return {} if self.masks is None else {"masks": self.masks}

    def class_name(self, target: int) -> str:
        """The name of a class, or "class 7"."""
        return self.classes[target] if target < len(self.classes) else f"class {target}"


def image_source(
    images: Any, labels: Any = None, masks: Any = None, classes: Sequence[str] | None = None, limit: int | None = None
) -> ImageSource:
    """The images and their ground truth from user-supplied arguments.

    Parameters
    ----------
    images : array, iterable, str or ImageSource
        An array; a dict or list of arrays for a model with several inputs, of which the first images (N, H, W, C) are
        drawn, or else the first volumes, series or table; a stream as `core.batching.iterate_batches` takes it, or of
        dictionaries with "image" and "label" as TFDS yields them; or a split of `kam.data` by name: "grid",
        "pets:test" or "drawn-grid:validation[:16]".
    labels, masks, classes
        As in ImageSource; they replace those included in `images`.
    limit : int or None
        Maximum number of images; None is all of an array and 64 of any other source.

    Raises
    ------
    ValueError
        For no images, images that cannot be drawn, and labels or masks that do not fit them.
    """
    limit = _LIMIT.validate(limit)
    found = _find_images(images, limit)
    passed_labels = labels is not None
    labels, masks = (
        known if passed is None else backend.to_numpy(passed)[: len(found.images)]
        for passed, known in ((labels, found.labels), (masks, found.masks))
    )
    names = found.classes if classes is None else tuple(classes)
    numbers = None if labels is None else class_numbers(labels)
    if passed_labels and numbers is None:
        raise ValueError(f"labels must be classes (N,) or one-hot rows (N, classes), got shape {np.shape(labels)}")
    return _validated(ImageSource(found.images, numbers, masks, names, found.notice, found.several, found.labels))


def split_source(data: "Data", split: str = "validation", first: int = 0, end: int | None = None) -> ImageSource:
    """Images `first` to `end` (None is 64 of them) of a split of a data set of `kam.data`, with their ground truth."""
    from keras_actmaps import data as datasets

    end = first + LIMIT if end is None else end
    batches: list[tuple[Array, Array, Array | None]] = []
    seen = 0
    with datasets.readable_errors():
        for images, labels, truth in data.truth(split).as_numpy_iterator():
            rows = slice(max(first - seen, 0), max(end - seen, 0))
            masks = datasets.masks(truth, images.shape[1:3])[rows] if {"mask", "position"} & set(truth) else None
            batches.append((images[rows], labels[rows], masks))
            seen += len(images)
            if seen >= end:
                break
    found, labels, masks = _concatenate(batches, end - first)
    return ImageSource(found, labels, masks, data.info.classes, data.info.notice)


def parse_split(text: str, limit: int | None) -> tuple["Data", str, int, int]:
    """The data set, the split, the first image and the end of `NAME[:SPLIT][[FIRST:END]]`."""
    from keras_actmaps import data as datasets

    parts = _SPLIT.fullmatch(text)
    if parts is None:
        raise ValueError(f"images must be NAME, NAME:SPLIT or NAME:SPLIT[FIRST:END] of a data set, got {text!r}")
    first = int(parts["first"] or 0)
    end = int(parts["end"]) if parts["end"] else first + (limit or LIMIT)
    return datasets.load(parts["name"]), parts["split"] or "validation", first, min(end, first + (limit or end))


def _find_images(images: Any, limit: int | None) -> ImageSource:
    if isinstance(images, ImageSource):
        return images
    if isinstance(images, str):
        return split_source(*parse_split(images, limit))
    if _is_several(images):
        copies = keras.tree.map_structure(lambda array: np.array(backend.to_numpy(array)[:limit]), images)
        drawn = [array for array in keras.tree.flatten(copies) if array.ndim in DRAWN]
        if not drawn:
            raise ValueError("none of the inputs has 1 to 4 axes per example, which could be drawn")
        return ImageSource(min(drawn, key=lambda array: DRAWN.index(array.ndim)), several=copies)
    if ops.is_tensor(images) or isinstance(images, (np.ndarray, list)):
        return ImageSource(np.array(backend.to_numpy(images)[:limit]))  # a copy, which callers cannot change
    return _stream_source(images, limit or LIMIT)


def _is_several(images: Any) -> bool:
    """Whether these are the arrays of several inputs: a dict, or a list in which not all have the same shape."""
    if isinstance(images, Mapping):
        return all(hasattr(array, "shape") for array in images.values())
    is_list = isinstance(images, (list, tuple)) and all(hasattr(array, "shape") for array in images)
    return is_list and len({tuple(array.shape[1:]) for array in images}) > 1


def _stream_source(dataset: Iterable, limit: int) -> ImageSource:
    """The first images of a stream, which may be endless, with their labels and masks."""
    batches: list[tuple[Array, Array | None, Array | None]] = []
    seen = 0
    for images, labels, extras in iterate_batches(_as_pairs(dataset), 4, limit):
        batches.append((images, labels, extras.get("masks")))
        seen += len(images)
        if seen >= limit:
            break
    if not batches:
        raise ValueError("the dataset has no images")
    return ImageSource(*_concatenate(batches, limit))


def _concatenate(batches: Sequence[tuple], limit: int) -> list[Any]:
    """Images, labels and masks of batches; None for parts that the batches do not have."""
    return [None if part[0] is None else np.concatenate(part)[:limit] for part in zip(*batches)]


def _as_pairs(dataset: Iterable) -> Iterable:
    """A stream with TFDS's dictionaries as pairs (image, label)."""
    if isinstance(dataset, keras.utils.PyDataset):
        return dataset
    return ((each["image"], each.get("label")) if isinstance(each, Mapping) else each for each in dataset)


def _validated(source: ImageSource) -> ImageSource:
    shape = source.images.shape
    if len(shape) not in DRAWN or not source.images.size:
        raise ValueError(
            f"images must be (N, H, W, C), or series (N, T, C), tables (N, F) or volumes (N, D, H, W, C), with N >= 1, "
            f"got {shape}"
        )
    space = shape[:-1] if len(shape) > 2 else shape
    for name, part, expected in (("labels", source.labels, shape[:1]), ("masks", source.masks, space)):
        if part is not None and part.shape != expected:
            raise ValueError(f"{name} must have shape {expected} to fit the images, got {part.shape}")
    return source
