"""Inputs of the command explain: images from a split or from files, and the class to explain."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_actmaps import render
from keras_actmaps.cli.quiet import load_data_package
from keras_actmaps.cli.subject import Say, Subject
from keras_actmaps.core.image_files import read_image
from keras_actmaps.core.image_pixels import to_float
from keras_actmaps.core.targets import Difference
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array

if TYPE_CHECKING:  # imports TensorFlow, which is needed only to read a data set
    from keras_actmaps.data import Data


@dataclass(frozen=True, eq=False)
class Images:
    """Model inputs, and the available information on them.

    Attributes
    ----------
    arrays : float32 array of shape (N, H, W, C)
    sources : list of str
        A description of the origin of each.
    labels : list of int or None
        The true classes.
    truth : dict
        "masks", bool (N, H, W), and "boxes", (N, 4), if the data set has them.
    names : sequence of str
        Of the features of tables, or of the channels of series, if known.
    """

    arrays: Array
    sources: list[str]
    labels: list[int] | None = None
    truth: dict[str, Array] = field(default_factory=dict)
    names: Sequence[str] = ()


def find_data(subject: Subject, data_dir: str | None = None) -> "Data":
    """The data set that the subject's run was trained on; ValueError if there is no run."""
    if subject.run is None:
        raise ValueError("a --model without a run has no data; pass --image FILE")
    load_data_package()
    from keras_actmaps import data as datasets

    record = subject.run.record
    return datasets.load(record["dataset"], **record["data"] | ({"data_dir": data_dir} if data_dir else {}))


def find_target(subject: Subject, traced: TracedModel, target: str | None) -> int | str | Difference | None:
    """A class by name or number, the difference of two (A-B), "all" or None; ValueError for an unknown class.

    A class whose own name has a "-" takes precedence over a difference.
    """
    if target is None or target == "all":
        return target
    number = _class_number(subject, target)
    if number is not None:
        return _existing(traced, number)
    cuts = [at for at, letter in enumerate(target) if letter == "-"]
    pairs = [(_class_number(subject, target[:at]), _class_number(subject, target[at + 1 :])) for at in cuts]
    found = [(first, second) for first, second in pairs if first is not None and second is not None]
    if len(found) > 1:
        raise ValueError(f"{target!r} can be read as several differences of classes; pass their numbers, as 3-5")
    if not found:
        choices = ", ".join(subject.classes) or f"0 to {(traced.classes or 1) - 1}"
        raise ValueError(f"no class {target!r}; choices: {choices}; A-B is the difference of two")
    return Difference(*(_existing(traced, number) for number in found[0]))


def _class_number(subject: Subject, text: str) -> int | None:
    """The number of a class by its number or name; None if it is neither."""
    numbers = {name.lower(): number for number, name in enumerate(subject.classes)}
    try:
        return int(text)
    except ValueError:
        return numbers.get(text.strip().lower())


def _existing(traced: TracedModel, number: int) -> int:
    """The number of a class of the model; ValueError for one that does not exist."""
    if abs(number) >= 2**31:  # more than an array of classes can contain
        raise ValueError(f"class {number} does not exist; {traced.name!r} has classes 0 to {(traced.classes or 1) - 1}")
    return int(traced.validate_targets(number, 1)[0])


def images_from_files(subject: Subject, traced: TracedModel | None, files: Sequence[str], say: Say) -> Images:
    """Image files as model inputs; conversions are reported with `say`."""
    shape = traced.input_shape[1:] if traced else (None, None, None)
    if len(shape) != 3:
        name = traced.name if traced else ""
        raise ValueError(f"{name!r} takes {(None, *shape)}, not images (N, H, W, C); pass --inputs FILE")
    arrays = [_from_file(subject, file, shape, say) for file in files]
    for file, array in zip(files, arrays):
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"{file} of shape {array.shape} differs from {files[0]} of {arrays[0].shape}; this model takes "
                "images of any size, but of one size at a time"
            )
    is_first = traced is not None and traced.is_channels_first
    return Images(np.moveaxis(np.stack(arrays), -1, 1 if is_first else -1), list(files))


def images_of_split(
    subject: Subject, positions: Sequence[int] | None, split: str, data_dir: str | None = None
) -> Images:
    """Images by their positions in a split of the run's data.

    Without positions, the first correctly classified image. Raises ValueError for a position outside the split, and if
    no image is classified correctly.
    """
    if subject.model is None:
        positions = positions or [0]
    found: dict[int, tuple[Array, int, dict[str, Array]]] = {}
    first = 0
    for images, labels, truth in Stream(subject, split, data_dir):
        if positions:
            rows = [position - first for position in sorted(set(positions)) if first <= position < first + len(images)]
        else:
            rows = _classified_correctly(subject.model, images, labels)[:1]
        for row in rows:
            found[first + row] = images[row], int(labels[row]), {name: values[row] for name, values in truth.items()}
        first += len(images)
        if found and len(found) == len(set(positions or [0])):
            break
    else:
        if not positions:
            raise ValueError(f"no image of the {split} split is classified correctly; pass --index or --image")
        raise ValueError(f"--index {max(positions)} is outside the {split} split, which has {first} images")
    order = positions or list(found)
    arrays, classes, truths = zip(*(found[position] for position in order))
    stacked = {name: np.stack([one[name] for one in truths]) for name in truths[0]}
    return Images(np.stack(arrays), [f"{split} image {position}" for position in order], list(classes), stacked)


class Stream:
    """Batches (images, labels, truth as in `Images`) of a split of the subject's data.

    Parameters
    ----------
    subject : Subject
    split : str
    data_dir : str or None
    limit : int or None
        Maximum number of images.

    Notes
    -----
    Its length is the number of batches; `count` is the number of images.
    """

    def __init__(self, subject: Subject, split: str, data_dir: str | None = None, limit: int | None = None):
        data = find_data(subject, data_dir)
        self.batches = data.truth(split)
        self.count = data.info.counts[split] if limit is None else min(limit, data.info.counts[split])

    def __len__(self) -> int:
        images, *_ = next(iter(self.batches))
        return -(-self.count // len(images))

    def __iter__(self) -> Iterator[tuple[Array, Array, dict[str, Array]]]:
        from keras_actmaps import data as datasets

        left = self.count
        with datasets.readable_errors():
            for images, labels, truth in self.batches.as_numpy_iterator():
                truth = datasets.truth_of(truth, images.shape[1:3])
                yield images[:left], labels[:left], {name: values[:left] for name, values in truth.items()}
                left -= len(images)
                if left <= 0:
                    return


def _classified_correctly(model: Any, images: Array, labels: Array) -> list[int]:
    """The rows of a batch whose predicted class is the true one."""
    return np.flatnonzero(model.predict(images, verbose=0).argmax(-1) == labels).tolist()


def _from_file(subject: Subject, file: str, shape: tuple[int | None, ...], say: Say) -> Array:
    """The image in a file as a model input; conversions are reported with `say`."""
    image, remarks = read_image(file)
    for remark in remarks:
        say(f"{file}: {remark}")
    height, width, channels = (expected or side for expected, side in zip(shape, (*image.shape[:2], 3)))
    as_in_training = subject.run is not None and height == width
    if image.shape[:2] != (height, width):
        how = (
            f" a shorter side of {height} pixels, and its center cropped"
            if as_in_training
            else f" {width}x{height} pixels"
        )
        say(f"{file}: resized from {image.shape[1]}x{image.shape[0]} to{how}")
    if image.shape[-1] != channels:
        say(f"{file}: converted from {'gray to color' if channels == 3 else 'color to gray'}")
    if as_in_training:
        from keras_actmaps.data import fit_photo  # imports TensorFlow

        return subject.preprocessing.encode(fit_photo(image, height, channels))
    return subject.preprocessing.encode(to_float(render.fit(image, (height, width, channels))))
