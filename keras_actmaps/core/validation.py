"""Validation of user-supplied inputs, targets and layers. Error messages are one line and list the choices."""

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np

from keras_actmaps import backend
from keras_actmaps.core._keras_compat import all_layers
from keras_actmaps.core.attribution import Target, bind
from keras_actmaps.core.batching import refuse_several_shapes
from keras_actmaps.core.graph import Graph
from keras_actmaps.core.labels import are_several_labels, is_one_hot
from keras_actmaps.core.plain_layers import KERNEL_LAYERS, is_plain
from keras_actmaps.core.settings import Count, Setting, show
from keras_actmaps.core.types import Array, Slot

PREDICTED = -1  # the target that denotes the predicted class
_BATCH_SIZE = Setting("batch_size", Count, 32, "inputs in memory at a time")


def validate_batch_size(batch_size: Any) -> int:
    """A positive integer; ValueError for anything else."""
    return _BATCH_SIZE.validate(batch_size)


def validate_inputs(inputs: Any, input_shape: tuple, is_channels_first: bool, name: str) -> Array:
    """Inputs (N, ...) as float32, channels last.

    Raises ValueError if they are not numeric, not finite, empty or do not fit the model called `name`.
    """
    array = _to_array(inputs)
    if array.dtype.kind not in "iufb":
        refuse_several_shapes(inputs)
        raise ValueError(f"inputs of type {array.dtype} are not numeric; pass an array of shape {input_shape}")
    expected = (None, input_shape[-1], *input_shape[1:-1]) if is_channels_first else input_shape
    if not _fits(array.shape, expected):
        raise ValueError(
            f"inputs of shape {array.shape} do not fit {name!r}, which takes {expected}{_hint(array.shape, expected)}"
        )
    if is_channels_first:
        array = np.ascontiguousarray(np.moveaxis(array, 1, -1))
    if not array.size:
        raise ValueError(f"there are no inputs: shape {array.shape}")
    with np.errstate(over="ignore"):
        array = array.astype("float32", copy=False)
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        raise ValueError(f"input {int(np.argmin(finite))} contains NaN or Inf")
    return array


def validate_targets(targets: Any, count: int, classes: int | None, name: str) -> Array | Callable:
    """Targets as int32 (N,) or (N, K), or the function itself.

    Raises ValueError if they do not fit `count` inputs or the classes of the model called `name`.
    """
    if callable(targets):
        return bind(targets, count) if isinstance(targets, Target) else targets
    if targets is None:
        return np.full(count, PREDICTED, "int32")
    if isinstance(targets, str):
        if targets != "all" or classes is None:
            raise ValueError(
                "targets must be a class, (N,) or (N, K) classes, 'all' or a function of the outputs, got "
                f"{show(targets)}"
            )
        return np.tile(np.arange(classes, dtype="int32"), (count, 1))
    array = _to_array(targets)
    if array.ndim == 0:
        array = np.full(count, array)
    if is_one_hot(array, classes):
        array = array.argmax(axis=1)
    elif are_several_labels(array, classes):
        raise ValueError(
            f"targets of 0 and 1, as wide as the {classes} classes, mark none or several classes in a row; pass the "
            "numbers of classes (N, K)"
        )
    if (array.dtype.kind == "f" and (array == np.round(array)).all()) or (array.dtype.kind == "b" and classes == 2):
        array = array.astype("int64")
    if array.dtype.kind not in "iu" or array.ndim > 2 or len(array) != count:
        raise ValueError(
            f"targets of shape {array.shape} and type {array.dtype} do not fit {count} inputs; "
            "pass integers of shape (N,) or (N, K)"
        )
    outside = array[(array < 0) | (array >= (classes or np.inf))]
    if outside.size:
        raise ValueError(f"class {outside[0]} does not exist; {name!r} has classes 0 to {(classes or 0) - 1}")
    return array.astype("int32")


def resolve_layer(layer: Any, paths: list[str], graph: Graph, model: keras.Model) -> str | list[str] | None:
    """The path of a layer as passed to `TracedModel`, or a list of paths; None for a model without such layers.

    paths: the paths of the layers with a spatial output.
    """
    if layer is None:
        return default_layer(paths, graph, keras.tree.flatten(graph.outputs))[0]
    if isinstance(layer, (list, tuple)):
        return [_resolve_one(one, paths, graph, model) for one in layer]
    return _resolve_one(layer, paths, graph, model)


def validate_grid(grid: Any, prefix: Any) -> tuple[tuple[int, ...] | None, int | None]:
    """A grid of patches as a tuple, and the number of tokens before them; ValueError for anything else, or None."""
    sides = tuple(grid) if isinstance(grid, (tuple, list)) else (grid,)
    if grid is not None and (len(sides) < 2 or not all(_is_count(side, 1) for side in sides)):
        raise ValueError(f"grid must be the rows and columns of patches, such as (14, 14), got {grid!r}")
    if prefix is not None and (grid is None or not _is_count(prefix, 0)):
        raise ValueError(f"prefix must be an integer >= 0 and come with a grid, got {prefix!r}")
    return (None if grid is None else sides), prefix


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= least)


def default_layer(paths: list[str], graph: Graph, outputs: list[Slot]) -> tuple[str | None, str | None]:
    """The deepest layer with a spatial output on which all outputs depend, and why it was chosen.

    The block of a spatial output is left out. Where no layer leads to all outputs, one that leads to any of them.
    """
    ways = [{slot for node in graph.ancestors([one]) for slot in node.writes} for one in outputs]
    block = _output_block(graph, outputs)
    common = set.intersection(*ways)
    aim = "the output" if len(outputs) == 1 else f"all {len(outputs)} outputs"
    for slots, where in ((common, aim), (set.union(*ways), f"one of the {len(outputs)} outputs")):
        found = [path for path in paths if graph.slot_of[path] in slots]
        inner = [path for path in found if graph.slot_of[path] not in block]
        if inner:
            left_out = "" if inner[-1] == found[-1] else "; the output block is left out"
            return inner[-1], f"deepest layer with space between the input and {where}{left_out}"
    return (paths[-1], "deepest layer with space") if paths else (None, None)


def _output_block(graph: Graph, outputs: list[Slot]) -> set[Slot]:
    """The slots from the last layer with a kernel to spatial outputs, as in a segmentation network."""
    block: set[Slot] = set()
    for slot in outputs:
        if len(graph.shapes.get(slot, ())) < 3:
            continue
        node = graph.producer(slot)
        while node is not None:
            block.update(node.writes)
            if is_plain(node.operation, KERNEL_LAYERS) or len(set(node.reads.values())) != 1:
                break
            node = graph.producer(next(iter(node.reads.values())))
    return block


def _resolve_one(layer: Any, paths: list[str], graph: Graph, model: keras.Model) -> str:
    if isinstance(layer, keras.layers.Layer):
        if not any(one is layer for one in all_layers(model)):
            raise ValueError(f"the layer {show(layer.name)} is not one of the layers of {model.name!r}")
        own = {node.path for node in graph.nodes if node.operation is layer and node.path in paths}
        if len(own) == 1:
            return own.pop()
        layer = layer.name
    if isinstance(layer, str) and "@" in layer and layer in graph.slot_of:
        return layer
    name = innermost_layer(layer if isinstance(layer, str) else layer_name(layer, model), paths, graph)
    found = matching_paths(name, paths)
    if len(found) == 1:
        return found[0]
    if graph.is_opaque:
        raise ValueError(opaque_message(model.name))
    choices = ", ".join(found or paths) or "none"
    raise ValueError(
        f"{'more than one' if found else 'no spatial'} layer {show(name)} in {model.name!r}; choices: {choices}"
    )


def layer_name(number: Any, model: keras.Model) -> str:
    """The name of a layer by its index in `model.layers`; ValueError for one that does not exist."""
    try:
        return model.layers[operator.index(number)].name
    except (IndexError, TypeError):
        raise ValueError(f"no layer {show(number)} in {model.name!r}; it has {len(model.layers)} layers") from None


def innermost_layer(name: str, paths: Sequence[str], graph: Graph) -> str:
    """The last layer of a nested model, if `name` is one; any other name unchanged."""
    if name in paths or name not in graph.slot_of:
        return name
    return getattr(graph.producer(graph.slot_of[name]), "path", name)


def matching_paths(name: str, paths: Iterable[str]) -> list[str]:
    """The path that equals `name`, or else those that end with it."""
    paths = list(paths)
    return [path for path in paths if path == name] or [path for path in paths if path.rsplit("/", 1)[-1] == name]


def opaque_message(name: str) -> str:
    """The error message for a model that is a single node."""
    return (
        f"the layers of {name!r} are not known, because its call cannot be traced (operations outside Keras, or "
        "branches on values); methods that need no layer work"
    )


def _to_array(values: Any) -> Array:
    """Values of any framework as an array; of type object if they are ragged or not numeric."""
    try:
        return backend.to_numpy(values)
    except (ValueError, TypeError):
        return np.array(None, dtype=object)


def _fits(shape: tuple, expected: tuple) -> bool:
    return len(shape) == len(expected) and all(allowed in (None, side) for side, allowed in zip(shape, expected))


def _hint(shape: tuple, expected: tuple) -> str:
    """Advice on how to make inputs of this shape fit."""
    if len(shape) == len(expected) - 1:
        return "; for a single image pass image[None]"
    if len(shape) > 2 and _fits((shape[0], *shape[2:], shape[1]), expected):
        return "; their channels come first: pass numpy.moveaxis(images, 1, -1)"
    if len(shape) > 2 and _fits((shape[0], shape[-1], *shape[1:-1]), expected):
        return "; their channels come last: pass numpy.moveaxis(images, -1, 1)"
    return ""
