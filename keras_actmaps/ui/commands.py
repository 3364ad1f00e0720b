"""The command line and the lines of Python that reproduce what the page shows."""

import shlex
from collections.abc import Mapping
from typing import Any

from keras_actmaps.core.settings import show
from keras_actmaps.methods import METHODS
from keras_actmaps.ui.inputs import Picture
from keras_actmaps.ui.models import RANDOM, Loaded
from keras_actmaps.ui.state import View


def command_line(loaded: Loaded, picture: Picture, view: View, runs: str) -> str:
    """The commands that write the same maps, one for each method with settings of its own."""
    words = ["python", "explain.py", *_model_words(loaded, runs), *_image_words(picture)]
    words += ["--target", f"{view.target}-{view.minus}" if view.minus else view.target] if view.target else []
    words += ["--layer", view.layer] if view.layer else []
    plain = [method for method in view.methods if not view.settings.get(method)]
    lines = [[*words, "--method", ",".join(plain)]] if plain else []
    for method in view.methods:
        pairs = view.settings.get(method)
        if pairs:
            options = [part for name, text in pairs.items() for part in ("-s", f"{name}={text}")]
            lines.append([*words, "--method", method, *options])
    return "\n".join(shlex.join(line) for line in lines)


def _model_words(loaded: Loaded, runs: str) -> list[str]:
    choice = loaded.choice
    if choice.kind == "run":
        return ["--run", f"{runs}/{choice.name}"]
    return ["--model", choice.name.removesuffix(RANDOM)]


def _image_words(picture: Picture) -> list[str]:
    if picture.key.startswith("test:") and picture.title.startswith("test "):
        return ["--index", picture.key.removeprefix("test:")]
    return ["--image", picture.title] if picture.key.startswith("upload:") else []


def python_lines(
    loaded: Loaded, picture: Picture, view: View, runs: str, settings: Mapping[str, Mapping[str, Any]]
) -> str:
    """The same in Python."""
    lines = ["import keras_actmaps as kam", ""]
    if loaded.run is not None:
        lines += [f"run = kam.training.runs.open_run({f'{runs}/{loaded.choice.name}'!r})", "model = run.model()"]
    elif loaded.choice.kind == "file":
        lines += ["import keras", "", f"model = keras.saving.load_model({loaded.choice.name!r})"]
    else:
        weights = None if loaded.choice.name.endswith(RANDOM) else "imagenet"
        lines += [f"model = kam.models.backbone({loaded.choice.name.removesuffix(RANDOM)!r}, {weights!r})"]
    lines += _input_lines(loaded, picture)
    target = _target(view)
    for method in view.methods:
        words = ["model", "inputs", repr(method), *([f"targets={target}"] if target else [])]
        words += [f"layer={view.layer!r}"] if view.layer and METHODS[method].level == "layer" else []
        words += [f"{name}={show(value)}" for name, value in settings.get(method, {}).items()]
        lines.append(f"{method} = kam.explain({', '.join(words)})")
    return "\n".join(lines)


def _input_lines(loaded: Loaded, picture: Picture) -> list[str]:
    if loaded.run is not None and picture.key.startswith("test:"):
        position = int(picture.key.removeprefix("test:"))
        return [
            f"images = run.data().test.unbatch().skip({position}).batch(1)",
            "inputs = next(iter(images))[0].numpy()",
        ]
    if picture.tokens:
        return ["import numpy as np", "", f"inputs = np.array({[list(map(int, picture.tokens))]})"]
    if loaded.shape is None:
        return []
    preprocessing = loaded.preprocessing
    if preprocessing.matrix is None:
        encoded = f"pixels[None] / {preprocessing.divisor:g} + {preprocessing.offset!r}"
    else:
        encoded = f"kam.models.preprocessing.of_application({preprocessing.name!r}).encode(pixels[None])"
    return [f"pixels = kam.render.fit(kam.render.read({picture.title!r}), {loaded.shape})", f"inputs = {encoded}"]


def _target(view: View) -> str:
    if view.minus:
        return f"kam.targets.Difference({view.target}, {view.minus})"
    return view.target
