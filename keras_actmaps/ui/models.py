"""The models that visitors may choose, and how they are loaded: each once, for all of them."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from keras_actmaps import models
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.models.model_files import load_model
from keras_actmaps.models.preprocessing import RANGES, Preprocessing, channels_first, guess
from keras_actmaps.training import runs
from keras_actmaps.ui import limits
from keras_actmaps.ui.config import Config

Kind = Literal["run", "file", "application"]
RANDOM = ":random"  # ending of an application without trained weights


@dataclass(frozen=True)
class Choice:
    """A model that may be chosen: a run, a file of an allowed folder, or a network of keras.applications."""

    kind: Kind
    name: str
    path: Path | None = None

    @property
    def key(self) -> str:
        """As in links."""
        return f"{self.kind}:{self.name}"

    @property
    def version(self) -> float:
        """Changes when the file does, so that it is loaded again."""
        file = self.path / runs.MODEL if self.kind == "run" and self.path else self.path
        return file.stat().st_mtime if file and file.is_file() else 0.0


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model in memory, and the available information on it."""

    choice: Choice
    model: keras.Model
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    notice: str = ""
    run: runs.Run | None = None

    @cached_property
    def traced(self) -> TracedModel:
        return as_traced(self.model)

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """(H, W, C) of its images; None for a model of other inputs."""
        shape = self.traced.input_shape[1:]
        if self.traced.is_table or len(shape) != 3:
            return None
        height, width, channels = (*shape[1:], shape[0]) if channels_first(shape) else shape
        return (height or 224, width or 224, channels) if channels in (1, 3) else None

    @property
    def length(self) -> int | None:
        """The number of tokens it takes, 32 where it takes any; None for a model of other inputs."""
        inputs = self.model.inputs
        if len(inputs) != 1 or len(inputs[0].shape) != 2 or not self.takes_integers:
            return None
        return inputs[0].shape[1] or 32

    @cached_property
    def takes_integers(self) -> bool:
        return any("int" in str(tensor.dtype) for tensor in self.model.inputs) or any(
            isinstance(layer, keras.layers.Embedding) for layer in self.model.layers[:3]
        )

    def name(self, target: int) -> str:
        """The name of a class, or `class N`."""
        return self.classes[target] if 0 <= target < len(self.classes) else f"class {target}"

    def encode(self, pixels: Array) -> Array:
        """uint8 pixels (N, H, W, C) as inputs of the model."""
        inputs = self.preprocessing.encode(pixels)
        return np.moveaxis(inputs, -1, 1) if self.traced.is_channels_first else inputs

    def decode(self, inputs: Array) -> Array:
        """Inputs of the model as uint8 pixels (N, H, W, C)."""
        return self.preprocessing.decode(np.moveaxis(inputs, 1, -1) if self.traced.is_channels_first else inputs)


def choices(config: Config) -> list[Choice]:
    """What visitors may choose: the newest run first, then files and applications."""
    found = [Choice("run", path.name, path) for path in run_folders(config.runs)]
    for folder in map(Path, config.models):
        files = sorted(file for file in folder.glob("*.keras") if file.is_file() and not file.name.startswith("."))
        found += [Choice("file", file.name, file) for file in files]
    unique = list({choice.key: choice for choice in found}.values())
    return unique if config.read_only else [*unique, *(Choice("application", name) for name in applications())]


def run_folders(folder: str) -> list[Path]:
    """The published runs, the newest first."""
    files = [path for path in Path(folder).glob(f"*/{runs.MODEL}") if (path.parent / "run.json").is_file()]
    finished = [path for path in files if not path.parent.name.endswith((runs.PARTIAL, runs.EARLIER))]
    return [path.parent for path in sorted(finished, key=lambda path: -path.stat().st_mtime)]


def applications() -> list[str]:
    """The networks of keras.applications, small ones first, each with trained and with random weights."""
    small = ("MobileNetV2", "MobileNet", "EfficientNetB0", "NASNetMobile", "DenseNet121", "ResNet50")
    others = [name for name, _ in inspect.getmembers(keras.applications, inspect.isfunction) if name not in small]
    return [name + ending for name in (*small, *others) for ending in ("", RANDOM)]


def find_choice(key: str, available: Sequence[Choice]) -> Choice | None:
    """The choice of that key. What a link names is looked up here and never used as a path."""
    return next((choice for choice in available if choice.key == key), None)


def load(choice: Choice) -> Loaded:
    """Load a model; ValueError or OSError with a message for the visitor."""
    if choice.kind == "application":
        name, is_random = choice.name.removesuffix(RANDOM), choice.name.endswith(RANDOM)
        model = models.backbone(name, None if is_random else "imagenet")
        notice = "random weights: its maps mean nothing" if is_random else ""
        return Loaded(choice, model, models.imagenet_classes(), RANGES["0-255"], notice)
    if choice.path is None:
        raise ValueError(f"{choice.name} is not available")
    if choice.kind == "run":
        return _of_run(choice, runs.open_run(choice.path))
    if choice.path.stat().st_size > limits.MODEL_MB * 1e6:
        raise ValueError(f"{choice.name} is larger than {limits.MODEL_MB:,} MB")
    try:
        model = load_model(choice.path)
    except ValueError as error:  # the folder is not the visitor's to know
        raise ValueError(str(error).replace(str(choice.path), choice.name)) from error
    found, reason = guess(model)
    return Loaded(choice, model, _names_beside(choice.path, model), found, reason)


def _of_run(choice: Choice, run: runs.Run) -> Loaded:
    scale: Any = run.record["scale"]
    notice = " · ".join(filter(None, [runs.describe_accuracy(run.metrics), run.record["notice"]]))
    preprocessing = Preprocessing(f"pixels / {scale:g}", scale)
    return Loaded(choice, run.model(), tuple(run.record["classes"]), preprocessing, notice, run)


def _names_beside(path: Path, model: keras.Model) -> tuple[str, ...]:
    """The class names in `NAME.txt` beside `NAME.keras`, one per line, if there is one for each class."""
    names = path.with_suffix(".txt")
    count = model.output_shape[-1] if isinstance(model.output_shape, tuple) else None
    if names.is_file():
        lines = tuple(line.strip() for line in names.read_text(encoding="utf-8").splitlines() if line.strip())
        return lines if len(lines) == count else ()
    return ()
