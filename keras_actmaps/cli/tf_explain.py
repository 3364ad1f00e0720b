"""The mode --engine tf-explain of the command explain: maps and pictures by the original tf-explain.

Each method is a record whose function `(request, *, setting=default) -> (Explanation, grid)` returns the raw maps and
the picture of tf-explain, or raises ValueError with the reason why it fails.
"""

import contextlib
import importlib
import io
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import keras
import numpy as np

from keras_actmaps.cli.choices import Choice, Mode
from keras_actmaps.cli.default import write_originals
from keras_actmaps.cli.inputs import Say
from keras_actmaps.cli.options import ExplainOptions
from keras_actmaps.cli.pictures import reject_drawing
from keras_actmaps.cli.request import Request
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.resize import resize
from keras_actmaps.core.settings import Count, Ge, Setting, settings_of
from keras_actmaps.core.types import Array
from keras_actmaps.methods.occlusion import PARTS

NAME = "tf-explain"
DRAWING = ("heatmap_display", "transform_to_normalized_grayscale")  # each module of tf-explain calls one of them


@dataclass(frozen=True, kw_only=True, eq=False)
class Original:
    """A method of the original tf-explain; attributes as those of `Method`."""

    name: str
    function: Callable[..., tuple[Explanation, Array]]
    summary: str
    paper: str
    cost: str = "that of tf-explain."
    limitations: str = "works with some versions of Keras 3 only."

    @cached_property
    def settings(self) -> Mapping[str, Setting]:
        """The settings by name."""
        return settings_of(self.function)


def gradcam(
    request: Request,
    *,
    use_guided_grads: Annotated[bool, "only the positive gradients at positive features"] = True,
    image_weight: Annotated[float, Ge(0), "weight of the image in the picture"] = 0.7,
) -> tuple[Explanation, Array]:
    """GradCAM, at the layer of the command line or the one that tf-explain infers."""
    settings = {"layer_name": request.layer, "use_guided_grads": use_guided_grads, "image_weight": image_weight}
    return _explain(request, "gradcam", "GradCAM", settings)


def occlusion(
    request: Request, *, patch_size: Annotated[Count | None, "side in pixels; None is an eighth of the height"] = None
) -> tuple[Explanation, Array]:
    """OcclusionSensitivity."""
    side = patch_size or max(1, request.images.arrays.shape[1] // PARTS)
    return _explain(request, "occlusion", "OcclusionSensitivity", {"patch_size": side})


def saliency(request: Request) -> tuple[Explanation, Array]:
    """VanillaGradients."""
    return _explain(request, "saliency", "VanillaGradients", {})


def gradient_x_input(request: Request) -> tuple[Explanation, Array]:
    """GradientsInputs."""
    return _explain(request, "gradient_x_input", "GradientsInputs", {})


def integrated_gradients(
    request: Request, *, n_steps: Annotated[Count, "images between the baseline and the image"] = 10
) -> tuple[Explanation, Array]:
    """IntegratedGradients."""
    return _explain(request, "integrated_gradients", "IntegratedGradients", {"n_steps": n_steps})


def smoothgrad(
    request: Request,
    *,
    num_samples: Annotated[Count, "noisy copies of each image"] = 5,
    noise: Annotated[float, Ge(0), "standard deviation, in the units of the images"] = 1.0,
) -> tuple[Explanation, Array]:
    """SmoothGrad."""
    return _explain(request, "smoothgrad", "SmoothGrad", {"num_samples": num_samples, "noise": noise})


METHODS: dict[str, Original] = {
    original.name: original
    for original in (
        Original(name="gradcam", function=gradcam, summary="GradCAM", paper="Selvaraju et al. 2017"),
        Original(name="saliency", function=saliency, summary="VanillaGradients", paper="Simonyan et al. 2014"),
        Original(
            name="gradient_x_input", function=gradient_x_input, summary="GradientsInputs", paper="Shrikumar et al. 2017"
        ),
        Original(name="smoothgrad", function=smoothgrad, summary="SmoothGrad", paper="Smilkov et al. 2017"),
        Original(
            name="integrated_gradients",
            function=integrated_gradients,
            summary="IntegratedGradients",
            paper="Sundararajan et al. 2017",
        ),
        Original(name="occlusion", function=occlusion, summary="OcclusionSensitivity", paper="Zeiler & Fergus 2014"),
    )
}


def validate(options: ExplainOptions) -> None:
    """ValueError for options that tf-explain does not have; ImportError if it cannot be imported."""
    if options.inputs is not None:
        raise ValueError(f"{NAME} explains images, and --inputs has arrays")
    if options.target == "all":
        raise ValueError(f"--target all: {NAME} explains one class at a time; pass one class")
    reject_drawing(options, f"--engine {NAME}")
    unused = {"--compare": options.compare, "--boxes": options.boxes is not None, "--colormap": options.colormap}
    for option, value in unused.items():
        if value:
            raise ValueError(f"{option} is not for --engine {NAME}, which draws its own pictures")
    if options.metrics is not None or options.limit is not None:
        raise ValueError("--metrics and --limit need --compare")
    if keras.backend.backend() != "tensorflow":
        raise ImportError(
            f"{NAME} needs TensorFlow, but Keras runs on {keras.backend.backend()}; set KERAS_BACKEND=tensorflow"
        )
    try:
        _import_part("core")
    except ImportError as error:
        raise ImportError(f"{NAME} cannot be imported ({error}); pip install {NAME}") from error


def write(request: Request, choices: list[Choice], options: ExplainOptions) -> list[Path]:
    """The drawings of tf-explain and the raw maps behind them, such as `tf-explain-gradcam.png` and `.npz`.

    If all methods are requested, those that fail are skipped.
    """
    written: list[Path] = []
    for choice in choices:
        try:
            if choice.error is not None:
                raise choice.error
            explanation, grid = METHODS[choice.name].function(request, **choice.settings)
        except ValueError as error:
            if not options.is_everything:
                raise
            request.say(str(error))
            continue
        request.say(f"{NAME} {choice.name}: its own picture, drawn by {NAME} {version(NAME)}")
        written.append(explanation.save(request.folder / f"{explanation.method}.npz"))
        written.append(_save_picture(grid, request.folder, f"{explanation.method}.png"))
    return [write_originals(request), *written]


def _explain(request: Request, method: str, explainer: str, settings: Mapping[str, Any]) -> tuple[Explanation, Array]:
    """The maps and the picture by a class of tf-explain, in one call if all images have the same target."""
    model, images = request.subject.model, request.images.arrays
    if model is None:
        raise ValueError("there is no model; pass --run or --model")
    outputs = model.predict(images, verbose=0)
    if not isinstance(outputs, np.ndarray) or outputs.ndim != 2:
        raise ValueError(f"{NAME} explains models whose outputs are class scores (N, classes)")
    if callable(request.target):
        raise ValueError(f"{NAME} explains one class at a time, not a difference of classes; pass one class")
    classes = outputs.argmax(-1) if request.target is None else np.full(len(images), request.target)
    groups = [(images, classes[0])] if len(set(classes)) == 1 else list(zip(images[:, None], classes))
    explain = getattr(_import_part("core"), explainer)().explain
    maps: list[Array] = []
    grids: list[Array] = []
    try:
        with _report_warnings(request.say), record_maps(sys.modules[explain.__module__], maps):
            for some, target in groups:
                grids.append(explain((some, None), model, int(target), **settings))
    except Exception as error:  # tf-explain raises errors of many types
        last_line = str(error).strip().rpartition("\n")[2].strip()
        needs_layer = "layer_name" in settings and settings["layer_name"] is None
        hint = "; it may work with a --layer" if needs_layer else ""
        versions = f"{NAME} {version(NAME)} fails at {method} with Keras {keras.__version__}"
        raise ValueError(f"{versions}: {type(error).__name__}: {last_line}{hint}") from error
    grid = grids[0] if len(grids) == 1 else _import_part("utils.display").grid_display(np.stack(grids))
    explanation = Explanation(
        maps=resize(np.concatenate(maps).astype("float32"), images.shape[1:3]),
        targets=classes.astype("int64"),
        scores=outputs[np.arange(len(classes)), classes].astype("float32"),  # as the model returns them
        method=f"{NAME}-{method}",
        layer=settings.get("layer_name"),
        settings=settings,
        versions={name: version(name) for name in (NAME, "keras", "tensorflow", "numpy")},
    )
    return explanation, grid


@contextlib.contextmanager
def record_maps(module: ModuleType, maps: list[Array]) -> Iterator[None]:
    """Append to `maps` the maps that a module of `tf_explain.core` draws: one, (1, h, w), or all, (N, H, W)."""
    name = next(name for name in DRAWING if name in vars(module))
    draw = getattr(module, name)

    def record(values: Any, *arguments: Any, **settings: Any) -> Any:
        array = np.asarray(values)
        maps.append(array[None] if array.ndim == 2 else array.sum(-1))
        return draw(values, *arguments, **settings)

    setattr(module, name, record)
    try:
        yield
    finally:
        setattr(module, name, draw)


@contextlib.contextmanager
def _report_warnings(say: Say) -> Iterator[None]:
    """Print each warning once, in one line, and no progress bars."""
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        yield
    for words in dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught):
        say(f"{NAME} warns: {words}")


def _save_picture(grid: Array, folder: Path, name: str) -> Path:
    saver = _import_part("utils.saver")
    (saver.save_rgb if grid.ndim == 3 else saver.save_grayscale)(grid, str(folder), name)
    return folder / name


def _import_part(name: str) -> ModuleType:
    """A part of tf-explain, which needs TensorFlow and may not be installed."""
    return importlib.import_module(f"tf_explain.{name}")


MODE = Mode(table=METHODS, validate=validate, write=write)
