"""Who is asked and what about: the model of a run or a file, its classes, and images from a split or from files."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from keras_actmaps import data as datasets
from keras_actmaps import models, render
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.training import runs

DRAWN = 100  # images of each split that are drawn where there is nothing else


@dataclass(frozen=True)
class Subject:
    """What is asked: a model, and what is known of its classes and of its images, which are `pixel / scale`.

    model: None for a data set alone (`without_model`).
    """

    model: keras.Model | None
    classes: tuple[str, ...] = ()
    scale: float = 255.0
    notice: str = ""
    run: runs.Run | None = None

    def name(self, target: int) -> str:
        """A class by its name, where it has one."""
        return self.classes[target] if target < len(self.classes) else f"class {target}"

    def pixels(self, images: np.ndarray) -> np.ndarray:
        """Images as the model takes them -> uint8."""
        return np.clip(np.rint(images * self.scale), 0, 255).astype("uint8")


@dataclass(frozen=True)
class Images:
    """Images as the model takes them, where each comes from, and its class and truth where these are known.

    truth: {"masks": bool (N,H,W), "boxes": (N,4)}, or what of these a data set knows.
    """

    arrays: np.ndarray
    sources: list[str]
    labels: list[int] | None = None
    truth: dict[str, np.ndarray] = field(default_factory=dict)


def find_subject(run: str | None, model: str | None, say) -> Subject:
    """The model to ask: of a run, from a file, or a keras.applications network with ImageNet weights."""
    if run and model:
        raise ValueError("give --run or --model, not both")
    if model is None:
        found = runs.open_run(run) if run else runs.newest_run()
        record = found.record
        say(f"run {found.path}: {record['source']}")
        return Subject(found.model(), tuple(record["classes"]), record["scale"], record["notice"], found)
    if model.endswith((".keras", ".h5")) or Path(model).exists():
        loaded = runs.load_model(model)
        rescales = any(isinstance(layer, keras.layers.Rescaling) for layer in loaded.layers[:3])
        say(f"{model}: classes have no names; images are given in 0..{255 if rescales else 1}")
        return Subject(loaded, scale=1.0 if rescales else 255.0)
    return Subject(models.backbone(model, "imagenet"), models.imagenet_classes(), scale=1.0)


def without_model(data_dir, say) -> Subject:
    """Only a data set, for what needs no trained model: CIFAR-10 where it is prepared, else drawn images."""
    ready = datasets.is_prepared("cifar10", data_dir)
    name, settings = ("cifar10", {"data_dir": data_dir}) if ready else ("drawn-grid", {"limit": DRAWN})
    info = datasets.load(name, **settings).info
    say(f"no run: images of {name}" + ("" if ready else ", since CIFAR-10 is not prepared"))
    record = {"dataset": name, "data": settings}
    return Subject(None, info.classes, info.scale, info.notice, runs.Run(Path(), record, {}))


def find_data(subject: Subject, data_dir=None) -> datasets.Data:
    """The data set that the subject's run was trained on; ValueError where there is no run."""
    if subject.run is None:
        raise ValueError("a --model without a run has no data of its own; give --image FILE")
    record = subject.run.record
    return datasets.load(record["dataset"], **record["data"] | ({"data_dir": data_dir} if data_dir else {}))


def find_target(subject: Subject, probe: TracedModel, target: str | None):
    """A class by name or number, "all" or None, as `explain` takes it."""
    if target is None or target == "all":
        return target
    if target.lstrip("-").isdigit():
        return int(probe.validate_targets(int(target), 1)[0])
    named = {name.lower(): number for number, name in enumerate(subject.classes)}
    if target.lower() not in named:
        choices = ", ".join(subject.classes) or f"0 to {(probe.classes or 1) - 1}"
        raise ValueError(f"no class {target!r}; there are: {choices}")
    return named[target.lower()]


def find_images(subject: Subject, files, index, split: str, data_dir, say) -> Images:
    """Images from files, by their places in a split of the run's data, or the first that is classified correctly."""
    if files and index:
        raise ValueError("give --image or --index, not both")
    if files:
        shape = subject.model.input_shape if subject.model else (None, None, None, None)
        return Images(np.stack([_from_file(subject, file, shape, say) for file in files]), list(files))
    batches = Stream(subject, split, data_dir)
    if subject.model is None:
        index = index or [0]
    places = sorted(index) if index else None
    if places and places[0] < 0:
        raise ValueError(f"--index {places[0]} is below 0")
    found, first = {}, 0
    for images, labels, truth in batches:
        if places is None:
            predicted = subject.model.predict(images, verbose=0).argmax(-1)
            wanted = list(first + np.flatnonzero(predicted == labels))[:1]
        else:
            wanted = [place for place in places if first <= place < first + len(images)]
        for place in wanted:
            of_image = {name: values[place - first] for name, values in truth.items()}
            found[place] = images[place - first], int(labels[place - first]), of_image
        first += len(images)
        if found and (places is None or len(found) == len(set(places))):
            break
    else:
        if places is None:
            raise ValueError(f"no image of the {split} split is classified correctly; give --index or --image")
        raise ValueError(f"--index {places[-1]} is outside the {split} split, which has {first} images")
    order = index or list(found)
    arrays, labels, truths = zip(*(found[place] for place in order))
    truth = {name: np.stack([of_image[name] for of_image in truths]) for name in truths[0]}
    return Images(np.stack(arrays), [f"{split} image {place}" for place in order], list(labels), truth)


class Stream:
    """(images, labels, truth as in `Images`) of a split of the subject's data, a batch at a time.

    limit: of images. Its length is that in batches.
    """

    def __init__(self, subject: Subject, split: str, data_dir=None, limit: int | None = None):
        data = find_data(subject, data_dir)
        self.batches = data.truth(split)
        self.count = min(limit or math.inf, data.info.counts[split])

    def __len__(self) -> int:
        images, *_ = next(iter(self.batches))
        return -(-self.count // len(images))

    def __iter__(self) -> Iterator[tuple]:
        left = self.count
        for images, labels, truth in self.batches.as_numpy_iterator():
            truth = datasets.truth_of(truth, images.shape[1:3])
            yield images[:left], labels[:left], {name: values[:left] for name, values in truth.items()}
            left -= len(images)
            if left <= 0:
                return


def _from_file(subject: Subject, file: str, shape: tuple, say) -> np.ndarray:
    """A file's image as the model takes it; what is changed about it is said."""
    image = render.read(file)
    wanted = tuple(want or side for want, side in zip(shape[1:], (*image.shape[:2], 3)))
    if image.shape[:2] != wanted[:2]:
        say(f"{file}: resized from {image.shape[1]}x{image.shape[0]} to {wanted[1]}x{wanted[0]} pixels")
    if image.shape[-1] != wanted[-1]:
        say(f"{file}: turned from {'grey to colour' if wanted[-1] == 3 else 'colour to grey'}")
    return render.fit(image, wanted).astype("float32") / np.float32(subject.scale)
