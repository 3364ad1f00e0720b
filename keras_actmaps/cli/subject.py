"""The model that the command explain works on, from a run, a file or keras.applications, and what is known of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_actmaps import models
from keras_actmaps.cli.options import ExplainOptions
from keras_actmaps.cli.quiet import load_data_package
from keras_actmaps.core.types import Array
from keras_actmaps.models.class_names import read_class_names
from keras_actmaps.models.model_files import load_model
from keras_actmaps.models.preprocessing import (
    RANGES,
    Preprocessing,
    channels_first,
    guess,
    misfit_warning,
    of_application,
)
from keras_actmaps.training import runs

DRAWN = 100  # drawn images per split if no other data is available
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, and the available information on its classes and images.

    Attributes
    ----------
    model : keras.Model or None
        None for a data set alone (`without_model`).
    classes : tuple of str
        Class names, if known.
    preprocessing : Preprocessing
        From pixels to model inputs.
    notice : str
        A remark that is shown with the data; may be empty.
    run : Run or None
        The run that the model belongs to.
    """

    model: keras.Model | None
    classes: tuple[str, ...] = ()
    preprocessing: Preprocessing = RANGES["0-1"]
    notice: str = ""
    run: runs.Run | None = None

    def name(self, target: int) -> str:
        """The name of a class, or `class N` if it is unknown."""
        return self.classes[target] if target < len(self.classes) else f"class {target}"

    def pixels(self, images: Array) -> Array:
        """Model inputs as uint8 images."""
        return self.preprocessing.decode(np.moveaxis(images, 1, -1) if channels_first(images.shape[1:]) else images)


def find_subject(options: ExplainOptions, say: Say) -> Subject:
    """The model of a run (by default the newest), of a file, or of keras.applications with ImageNet weights."""
    model = options.model
    if model is None:
        return _subject_of_run(options.run, say)
    if model.endswith((".keras", ".h5")) or Path(model).exists():
        return _subject_of_file(model, options, say)
    if options.preprocess or options.scale or options.classes or options.allow_unsafe_model:
        raise ValueError(f"--model {model} is no file, so --scale, --preprocess and --classes do not apply to it")
    return Subject(models.backbone(model, "imagenet"), models.imagenet_classes(), RANGES["0-255"])


def _subject_of_file(model: str, options: ExplainOptions, say: Say) -> Subject:
    classes = read_class_names(options.classes) if options.classes else ()
    chosen = of_application(options.preprocess) if options.preprocess else RANGES.get(options.scale or "")
    loaded = load_model(model, allow_unsafe=options.allow_unsafe_model)
    outputs = getattr(loaded, "output_shape", None)
    count = outputs[-1] if isinstance(outputs, tuple) and len(outputs) == 2 else None
    if classes and count not in (None, len(classes)) and (count, len(classes)) != (1, 2):
        raise ValueError(f"{options.classes!r} has {len(classes)} names, but {loaded.name!r} has {count} outputs")
    if chosen is None:
        chosen, reason = guess(loaded)
        say(f"{model}: {reason}")
    else:
        warning = misfit_warning(loaded, chosen)
        say(f"warning: {warning}" if warning else f"{model}: images are passed as {chosen.name}")
    if not classes:
        say(f"{model}: classes have no names; --classes FILE gives them")
    return Subject(loaded, classes, chosen)


def _subject_of_run(run: str | None, say: Say) -> Subject:
    found = runs.open_run(run) if run else runs.newest_run()
    record = found.record
    say(f"run {found.path}: {record['source']}")
    for warning in runs.weaknesses(found.metrics):
        say(f"warning: {warning}")
    notice = " · ".join(filter(None, [runs.describe_accuracy(found.metrics), record["notice"]]))
    return Subject(found.model(), tuple(record["classes"]), _division(record["scale"]), notice, found)


def without_model(data_dir: str | None, say: Say) -> Subject:
    """A data set without a model, for figures that need none: CIFAR-10 if it is prepared, else drawn images."""
    load_data_package()
    from keras_actmaps import data as datasets

    ready = datasets.is_prepared("cifar10", data_dir)
    name = "cifar10" if ready else "drawn-grid"
    settings: dict[str, Any] = {"data_dir": data_dir} if ready else {"limit": DRAWN}
    info = datasets.load(name, **settings).info
    say(f"no run: images of {name}" + ("" if ready else ", because CIFAR-10 is not prepared"))
    record = {"dataset": name, "data": settings}
    return Subject(None, info.classes, _division(info.scale), info.notice, runs.Run(Path(), record, {}))


def _division(scale: float) -> Preprocessing:
    """The preprocessing of the data sets."""
    return Preprocessing(f"pixels / {scale:g}", scale)
