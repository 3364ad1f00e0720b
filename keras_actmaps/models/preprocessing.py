"""From pixels to the inputs of a model: ranges, the preprocessing of keras.applications, and what a model expects."""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from keras_actmaps.core._keras_compat import all_layers
from keras_actmaps.core.graph import Graph, Node
from keras_actmaps.core.trace import trace_model
from keras_actmaps.core.types import Array

SIDE = 32  # of the images that are tried, where a model takes any size


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """A linear function of pixels 0..255: `pixels / divisor + offset`, or `pixels @ matrix + offset`.

    Attributes
    ----------
    name : str
        As on the command line, such as "0-1" or "mobilenet_v2".
    divisor : float
    offset : float or array of shape (3,)
    matrix : array of shape (3, 3) or None
    """

    name: str
    divisor: float = 1.0
    offset: Any = 0.0
    matrix: Array | None = None

    def encode(self, pixels: Array) -> Array:
        """Inputs, float32 (..., C), of pixels; ValueError for gray images where colors are needed."""
        pixels = np.asarray(pixels, "float32")
        if self.matrix is None:
            return pixels / np.float32(self.divisor) + np.float32(self.offset)
        if pixels.shape[-1] != 3:
            raise ValueError(f"preprocessing {self.name!r} is of color images, but the model takes gray ones")
        return (pixels @ self.matrix + self.offset).astype("float32")

    def decode(self, inputs: Array) -> Array:
        """Pixels, uint8, of inputs."""
        pixels = np.asarray(inputs, "float32") - np.float32(self.offset)
        pixels = pixels * self.divisor if self.matrix is None else pixels @ np.linalg.inv(self.matrix)
        return np.clip(np.rint(pixels), 0, 255).astype("uint8")

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value of inputs."""
        colors = self.encode(np.stack(np.meshgrid(*[(0, 255)] * 3), -1))
        return float(colors.min()), float(colors.max())


RANGES = {
    "0-1": Preprocessing("0-1", 255.0),
    "0-255": Preprocessing("0-255"),
    "-1-1": Preprocessing("-1-1", 127.5, -1.0),
}
PREFERENCE = {"0-1": 0.0, "0-255": 0.0, "-1-1": 0.7}  # added to the misfit: models that rescale -1..1 are rare
MISFIT = 3.0  # how much more than the best range may be, before a warning


def application_modules() -> dict[str, Callable[[Array], Any]]:
    """The preprocessing functions of keras.applications by the name of their module."""
    modules = inspect.getmembers(keras.applications, inspect.ismodule)
    named = {name: getattr(module, "preprocess_input", None) for name, module in modules if name != "imagenet_utils"}
    return {name: function for name, function in named.items() if function is not None}


def of_application(name: str) -> Preprocessing:
    """The preprocessing of a module of keras.applications; ValueError for an unknown name."""
    functions = application_modules()
    if name not in functions:
        raise ValueError(f"preprocess must be one of {', '.join(functions)}, got {name!r}")
    matrix, offset = linear(functions[name])
    return Preprocessing(name, offset=offset, matrix=matrix)


def linear(preprocess: Callable[[Array], Any]) -> tuple[Array, Array]:
    """The matrix (3, 3) and the offset (3,) of a preprocessing, from its values at black and at the pure colors."""
    probes = np.concatenate([np.zeros((1, 3)), 255.0 * np.eye(3)]).astype("float32").reshape((4, 1, 1, 3))
    values = np.asarray(preprocess(probes.copy())).reshape((4, 3))
    return (values[1:] - values[0]) / 255.0, values[0]


def guess(model: keras.Model) -> tuple[Preprocessing, str]:
    """What a model expects, and why, in words.

    The values that reach its first kernels are computed for images in each range, through rescaling, normalization and
    any arithmetic before them, nested models included. The range that brings them closest to mean 0 and deviation 1 is
    chosen. Where nothing is done to the images before, the name of a network of keras.applications decides.
    """
    misfits = _misfits(model, list(RANGES.values()))
    if misfits is None:
        application = _application(model)
        if application is None:
            return RANGES["0-1"], (
                "no preprocessing is found in the model, so images are passed in 0..1; if it was trained otherwise, "
                "pass --scale 0-255, --scale -1-1 or --preprocess"
            )
        found, module = application
        return of_application(module), (
            f"{found!r} is a network of keras.applications without its preprocessing, which is applied to the images "
            f"(--preprocess {module}); if it was trained otherwise, pass --scale"
        )
    best = min(RANGES, key=lambda name: misfits[name] + PREFERENCE[name])
    low, high = RANGES[best].bounds
    return RANGES[best], f"the model preprocesses its inputs, so images are passed in {low:.0f}..{high:.0f}"


def misfit_warning(model: keras.Model, preprocessing: Preprocessing) -> str:
    """A warning where images do not fit what the model does to them first; empty if they do or if that is unknown."""
    misfits = _misfits(model, [*RANGES.values(), preprocessing])
    if misfits is None:
        return ""
    best = min(RANGES, key=lambda name: misfits[name] + PREFERENCE[name])
    if misfits[preprocessing.name] <= misfits[best] + MISFIT:
        return ""
    return (
        f"the images are passed as {preprocessing.name}, but the first layers of {model.name!r} rescale or normalize "
        f"them again; --scale {best} would fit"
    )


def channels_first(shape: Sequence[int | None]) -> bool:
    """Whether images of this shape, without the batch, have their channels before height and width."""
    return len(shape) == 3 and shape[0] in (1, 3) and shape[-1] not in (1, 3)


def _misfits(model: keras.Model, candidates: list[Preprocessing]) -> dict[str, float] | None:
    """How far from mean 0 and deviation 1 each candidate is at the first kernels; None if nothing is done before."""
    graph = trace_model(model)
    shape = graph.shapes[graph.inputs[0]][1:]
    is_first = channels_first(shape)
    shape = (*shape[1:], shape[0]) if is_first else shape
    if graph.is_opaque or len(graph.inputs) != 1 or len(shape) != 3 or shape[-1] not in (1, 3):
        return None
    colors = np.stack(np.meshgrid(*[(0, 128, 255)] * shape[-1]), -1).reshape((-1, 1, 1, shape[-1])).astype("float32")
    pixels = np.broadcast_to(colors, (len(colors), *(side or SIDE for side in shape[:-1]), shape[-1]))
    encoded = {one.name: np.moveaxis(one.encode(pixels), -1, 1 if is_first else -1) for one in candidates}
    found = {name: (inputs, _first_values(graph, inputs)) for name, inputs in encoded.items()}
    if all(_is_unchanged(*found[name]) for name in RANGES):
        return None
    return {name: max(map(_misfit, values)) for name, (_, values) in found.items()}


def _first_values(graph: Graph, inputs: Array) -> list[Array]:
    """The values that reach the first kernels of a model."""
    values = {graph.inputs[0]: ops.convert_to_tensor(inputs)}
    found = []
    for node in graph.nodes:
        if not node.reads or not values.keys() >= set(node.reads.values()):
            continue
        if _has_kernel(node):
            found += [ops.convert_to_numpy(values[slot]) for slot in node.reads.values()]
        else:
            values |= dict(zip(node.writes, tree.flatten(node(values))))
    return found


def _has_kernel(node: Node) -> bool:
    """Whether a node combines its inputs by weights; normalization only shifts and scales them."""
    is_normalization = isinstance(node.operation, (keras.layers.Normalization, keras.layers.BatchNormalization))
    weights = getattr(node.operation, "weights", [])
    return not is_normalization and any(len(weight.shape) >= 2 for weight in weights)


def _is_unchanged(inputs: Array, values: list[Array]) -> bool:
    """Whether values have the range of the inputs, as after padding or resizing."""
    span = inputs.min(), inputs.max()
    return all(np.allclose((value.min(), value.max()), span, rtol=1e-2, atol=1e-2) for value in values)


def _misfit(values: Array) -> float:
    mean, deviation = abs(float(values.mean())), float(values.std())
    return mean / max(deviation, 1.0) + abs(math.log(max(deviation, 1e-9)))


def _application(model: keras.Model) -> tuple[str, str] | None:
    """The name of the network of keras.applications that a model is or contains, and its module; None for others."""
    networks = {_plain(name): name for name, _ in inspect.getmembers(keras.applications, inspect.isfunction)}
    modules, functions = inspect.getmembers(keras.applications, inspect.ismodule), application_modules()
    for layer in [model, *all_layers(model)]:
        matches = [plain for plain in networks if _plain(layer.name).startswith(plain)]
        if isinstance(layer, keras.Model) and matches:
            network = networks[max(matches, key=len)]
            owners = [name for name, module in modules if hasattr(module, network) and name in functions]
            if owners:
                return layer.name, owners[-1]
    return None


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
