"""Watched: the images that are explained again and again while a model is fitted, and what is known of them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.batching import iterate_batches
from keras_actmaps.methods.registry import check_count

LIMIT = 64  # images of a stream, where nothing else is said
SPLIT = re.compile(r"(?P<name>.+?)(?::(?P<split>train|validation|test))?(?:\[(?P<first>\d*):(?P<end>\d*)\])?")


@dataclass(frozen=True, eq=False)
class ImageSource:
    """images: (N,H,W,C) as the model takes them. labels: (N,), masks: bool (N,H,W), where they are known.

    classes: the names of classes. notice: what belongs wherever the images are shown.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    masks: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    notice: str = ""

    def name(self, target: int) -> str:
        """A class by its name, where it has one."""
        return self.classes[target] if target < len(self.classes) else f"class {target}"


def image_source(images, labels=None, masks=None, classes=None, limit: int | None = None) -> ImageSource:
    """The images as a caller gives them, and what he says or they bring of labels, masks and classes.

    images: an array; a stream as `streams.gathered` takes it, or of dictionaries with "image" and "label", as TFDS
        gives them; or a split of `kam.data` by name, as "grid", "pets:test" or "drawn-grid:validation[:16]".
    limit: the most images; None = all of an array, 64 of anything else.
    Raises ValueError for no images, for such as cannot be drawn, and for what does not fit them.
    """
    if limit is not None:
        check_count("limit", limit)
    if isinstance(images, ImageSource):
        found = images
    elif isinstance(images, str):
        found = of_split(*by_name(images, limit))
    elif ops.is_tensor(images) or isinstance(images, (np.ndarray, list)):
        found = ImageSource(np.array(backend.to_numpy(images)[:limit]))  # a copy, which nobody changes
    else:
        found = _of_stream(images, limit or LIMIT)
    given = {"labels": labels, "masks": masks}
    parts = {name: getattr(found, name) if part is None else backend.to_numpy(part)[: len(found.images)]
             for name, part in given.items()}  # fmt: skip
    parts["labels"] = _numbers(parts["labels"])
    return _checked(ImageSource(found.images, **parts, classes=tuple(classes or found.classes), notice=found.notice))


def of_split(data, split: str = "validation", first: int = 0, end: int | None = None) -> ImageSource:
    """Images `first` to `end` (None = 64 of them) of a split of a data set of `kam.data`, with all it knows of them."""
    from keras_actmaps import data as datasets

    end = first + LIMIT if end is None else end
    parts, seen = [], 0
    for images, labels, truth in data.truth(split).as_numpy_iterator():
        now = slice(max(first - seen, 0), max(end - seen, 0))
        knows = {"mask", "position"} & set(truth)
        parts.append((images[now], labels[now], datasets.masks(truth, images.shape[1:3])[now] if knows else None))
        seen += len(images)
        if seen >= end:
            break
    images, labels, masks = zip(*parts)
    masks = None if masks[0] is None else np.concatenate(masks)
    return ImageSource(np.concatenate(images), np.concatenate(labels), masks, data.info.classes, data.info.notice)


def by_name(text: str, limit: int | None) -> tuple:
    """`NAME[:SPLIT][[FIRST:END]]` -> the data set, the split, the first image and the one behind the last."""
    from keras_actmaps import data as datasets

    parts = SPLIT.fullmatch(text)
    if parts is None:
        raise ValueError(f"no images {text!r}; give NAME, NAME:SPLIT or NAME:SPLIT[FIRST:END] of a data set")
    first = int(parts["first"] or 0)
    end = int(parts["end"]) if parts["end"] else first + (limit or LIMIT)
    return datasets.load(parts["name"]), parts["split"] or "validation", first, min(end, first + (limit or end))


def _of_stream(dataset: Iterable, limit: int) -> ImageSource:
    """The first images of a stream, which need not end, with the labels and the masks that it brings."""
    parts, seen = [], 0
    for images, labels, truth in iterate_batches(_in_pairs(dataset), 4, limit):
        parts.append((images, labels, truth.get("masks")))
        seen += len(images)
        if seen >= limit:
            break
    if not parts:
        raise ValueError("the dataset holds no images")
    return ImageSource(*(None if part[0] is None else np.concatenate(part)[:limit] for part in zip(*parts)))


def _in_pairs(dataset: Iterable) -> Iterable:
    if isinstance(dataset, keras.utils.PyDataset):
        return dataset
    return ((each["image"], each.get("label")) if isinstance(each, Mapping) else each for each in dataset)


def _numbers(labels: np.ndarray | None) -> np.ndarray | None:
    """Labels (N,), (N,1) or one-hot (N,classes) as classes (N,); None for what are no classes, as in regression."""
    if labels is None:
        return None
    labels = labels.argmax(-1) if labels.ndim == 2 and labels.shape[1] > 1 else labels.reshape(len(labels), -1)
    labels = labels if labels.ndim == 1 or labels.shape[1] > 1 else labels[:, 0]
    return labels.astype("int64") if labels.dtype.kind in "iub" or (labels == labels.astype("int64")).all() else None


def _checked(found: ImageSource) -> ImageSource:
    shape = found.images.shape
    if len(shape) != 4 or shape[-1] not in (1, 3) or not shape[0]:
        raise ValueError(f"images of shape {shape} cannot be drawn; give (N,H,W,1) or (N,H,W,3), N of 1 or more")
    for name, wanted in (("labels", shape[:1]), ("masks", shape[:3])):
        part = getattr(found, name)
        if part is not None and part.shape != wanted:
            raise ValueError(f"{name} of shape {part.shape} do not fit the images; they need {wanted}")
    return found
