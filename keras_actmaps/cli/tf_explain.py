"""The original tf-explain beside this project: its own classes asked by explain.py, its own pictures.

A method is a function `(asked, *, setting=default) -> (Explanation, grid)` of a Request: the raw maps that tf-explain
hands on to be drawn, and what it draws of them. ValueError says why where it fails.
"""

import contextlib
import importlib
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np

from keras_actmaps.cli.request import Request
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.resize import resize
from keras_actmaps.methods.occlusion import PARTS
from keras_actmaps.methods.registry import own_settings

NAME = "tf-explain"
DRAWING = ("heatmap_display", "transform_to_normalized_grayscale")  # which of the two a module of tf-explain's calls


def gradcam(asked: Request, *, use_guided_grads=True, image_weight=0.7):
    """GradCAM, at the layer that was given or the one that tf-explain infers."""
    settings = {"layer_name": asked.layer, "use_guided_grads": use_guided_grads, "image_weight": image_weight}
    return _asked(asked, "gradcam", "GradCAM", **settings)


def occlusion(asked: Request, *, patch_size=None):
    """OcclusionSensitivity, with patches of an eighth of the height unless a size is given."""
    side = patch_size or max(1, asked.images.arrays.shape[1] // PARTS)
    return _asked(asked, "occlusion", "OcclusionSensitivity", patch_size=side)


def saliency(asked: Request):
    """VanillaGradients."""
    return _asked(asked, "saliency", "VanillaGradients")


def gradient_x_input(asked: Request):
    """GradientsInputs."""
    return _asked(asked, "gradient_x_input", "GradientsInputs")


def integrated_gradients(asked: Request, *, n_steps=10):
    """IntegratedGradients."""
    return _asked(asked, "integrated_gradients", "IntegratedGradients", n_steps=n_steps)


def smoothgrad(asked: Request, *, num_samples=5, noise=1.0):
    """SmoothGrad."""
    return _asked(asked, "smoothgrad", "SmoothGrad", num_samples=num_samples, noise=noise)


METHODS = {
    method.__name__: method
    for method in (gradcam, saliency, gradient_x_input, smoothgrad, integrated_gradients, occlusion)
}


def write(asked: Request, names: list[str], settings: dict, lenient: bool) -> list[Path]:
    """What tf-explain draws and the raw maps behind it, `tf-explain-gradcam.png` and `.npz`, of each method.

    settings: those of all methods. lenient: what fails is said and left out, instead of a ValueError.
    """
    written = []
    for name in names:
        own = own_settings(METHODS[name], settings)
        try:
            explanation, grid = METHODS[name](asked, **own)
        except ValueError as error:
            if not lenient:
                raise
            asked.say(str(error))
            continue
        asked.say(f"{NAME} {name}: its own picture, drawn by {NAME} {version(NAME)}")
        written.append(explanation.save(asked.folder / f"{explanation.method}.npz"))
        written.append(_picture(grid, asked.folder, f"{explanation.method}.png"))
    return written


def check(target: str | None, unused: dict) -> None:
    """ImportError where tf-explain cannot be had; ValueError for what it cannot do, by the options that were given."""
    if target == "all":
        raise ValueError(f"--target all: {NAME} explains one class at a time; name one")
    for option, value in unused.items():
        if value:
            raise ValueError(f"{option} is not for --engine {NAME}, which draws its own pictures")
    if keras.backend.backend() != "tensorflow":
        raise ImportError(f"{NAME} is TensorFlow's, and Keras runs on {keras.backend.backend()}; "
                          "set KERAS_BACKEND=tensorflow")  # fmt: skip
    try:
        _part("core")
    except ImportError as error:
        raise ImportError(f"{NAME} cannot be imported ({error}); pip install {NAME}") from error


def _asked(asked: Request, method: str, explainer: str, **settings) -> tuple[Explanation, np.ndarray]:
    """The maps and the picture by one of tf-explain's classes: of all images at once where they ask for one class."""
    model, images = asked.subject.model, asked.images.arrays
    outputs = model.predict(images, verbose=0)
    classes = outputs.argmax(-1) if asked.target is None else np.full(len(images), asked.target)
    groups = [(images, classes[0])] if len(set(classes)) == 1 else list(zip(images[:, None], classes))
    explain = getattr(_part("core"), explainer)().explain
    maps, grids = [], []
    try:
        with _said(asked.say), kept(sys.modules[explain.__module__], maps):
            for some, target in groups:
                grids.append(explain((some, None), model, int(target), **settings))
    except Exception as error:  # whatever it is that the original raises
        last_line = str(error).strip().rpartition("\n")[2].strip()
        hint = "; it may work with a --layer" if settings.get("layer_name", "") is None else ""
        versions = f"{NAME} {version(NAME)} fails at {method} with Keras {keras.__version__}"
        raise ValueError(f"{versions}: {type(error).__name__}: {last_line}{hint}") from error
    grid = grids[0] if len(grids) == 1 else _part("utils.display").grid_display(np.stack(grids))
    return _explanation(asked, method, np.concatenate(maps), classes, outputs, settings), grid


def _explanation(asked: Request, method: str, maps, classes, outputs, settings: dict) -> Explanation:
    """The raw maps, at the size of the images; their scores are the model's own outputs."""
    return Explanation(
        maps=resize(maps.astype("float32"), asked.images.arrays.shape[1:3]),
        targets=classes.astype("int64"),
        scores=outputs[np.arange(len(classes)), classes].astype("float32"),
        method=f"{NAME}-{method}",
        layer=settings.get("layer_name"),
        settings=settings,
        versions={name: version(name) for name in (NAME, "keras", "tensorflow", "numpy")},
    )


@contextlib.contextmanager
def kept(module, maps: list) -> Iterator[None]:
    """Append to `maps` what a module of `tf_explain.core` hands on to be drawn: (1,h,w) a map, or (N,H,W) all."""
    name = next(name for name in DRAWING if hasattr(module, name))
    draw = getattr(module, name)

    def keep(values, *more, **settings):
        array = np.asarray(values)
        maps.append(array[None] if array.ndim == 2 else array.sum(-1))
        return draw(values, *more, **settings)

    setattr(module, name, keep)
    try:
        yield
    finally:
        setattr(module, name, draw)


@contextlib.contextmanager
def _said(say: Callable) -> Iterator[None]:
    """Each warning once, as one line; progress bars not at all."""
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        yield
    for words in dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught):
        say(f"{NAME} warns: {words}")


def _picture(grid: np.ndarray, folder: Path, name: str) -> Path:
    saver = _part("utils.saver")
    (saver.save_rgb if grid.ndim == 3 else saver.save_grayscale)(grid, str(folder), name)
    return folder / name


def _part(name: str):
    """A part of tf-explain, which needs TensorFlow and may not be installed."""
    return importlib.import_module(f"tf_explain.{name}")
