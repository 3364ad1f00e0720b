"""The receptive field: the part of an image that a unit sees, from the sizes and strides of the layers below it."""

import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from keras_actmaps.core.graph import Graph, Node, Slot, run_backward
from keras_actmaps.core.layer_types import layer_type, operation_name
from keras_actmaps.core.rewrite import is_identity, is_plain

WINDOWS = (
    *(layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.DepthwiseConv1D, layers.DepthwiseConv2D),
    *(layers.SeparableConv1D, layers.SeparableConv2D),
    *(layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D),
    *(layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D),
)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
PADDING = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)
CROPPING = (layers.Cropping1D, layers.Cropping2D, layers.Cropping3D)
RESIZING = (layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D, layers.Resizing)
PLACE_BY_PLACE = ("affine", "activation", "product")  # kinds of steps
MERGING = ("Add", "Subtract", "Average", "Maximum", "Minimum")
ALONG_AN_AXIS = ("Concatenate", "LayerNormalization", "RMSNormalization", "UnitNormalization", "Softmax")


@dataclass(frozen=True, eq=False)
class Region:
    """What is seen of a tensor: the places along each axis of space. Of two branches, what either sees."""

    places: tuple[np.ndarray, ...]

    def __add__(self, other: "Seen") -> "Seen":
        return Region(tuple(map(np.union1d, self.places, other.places)))


def receptive_field(
    graph: Graph, slot: Slot, place: tuple[int, ...], space: tuple[int, ...]
) -> tuple[slice, ...]:
    """The smallest box of the image that holds all that a unit depends on: what cuts it out of an image (H,W,C).

    The output o of a window of k places, d apart, at stride s with p places of padding before the first, sees the
    inputs s o - p + d j, 0 <= j < k (Araujo et al. 2019, section 2); what branches see is united.

    slot, place: the unit's tensor and its place along each axis of space, () where there is none. space: that of the
    image, (H, W). A layer that is not known is taken to see everything, as global pooling does: the box may then be
    too large, never too small. A unit that sees only padding has an empty box.
    """
    shapes = _shapes(graph, space)

    def back(step, arrived):
        seen = functools.reduce(operator.add, (one for one in arrived if one is not None))
        return [_inputs(step, seen, shapes[read], shapes[step.writes[0]]) for read in step.reads.values()]

    arrived = run_backward(graph.nodes, {slot: Region(tuple(np.array([at]) for at in place))}, back)
    ends = ((int(at.min()), int(at.max()) + 1) if at.size else (0, 0) for at in arrived[graph.inputs[0]].places)
    return tuple(slice(*pair) for pair in ends)


def _inputs(step: Node, outputs: Region, before: tuple, after: tuple) -> Region:
    """What the outputs of a step see of one of its inputs; before, after: the shapes of the input and the output."""
    reach, sides = _reach(step, len(after)), before[1:-1]
    found = [np.arange(side) for side in sides]
    if reach is not None and len(before) == len(after):
        axes = enumerate(zip(outputs.places, sides, after[1:-1]))
        found = [np.unique(reach(step.operation, axis, *at)) for axis, at in axes]
        found = [places[(places >= 0) & (places < side)] for places, side in zip(found, sides)]
    is_empty = any(places.size == 0 for places in (*outputs.places, *found))
    return Region(tuple(places[:0] if is_empty else places for places in found))


def _reach(step: Node, rank: int) -> Callable | None:
    """What says which inputs some outputs of a step see, axis by axis; None for a step that sees everything."""
    layer, name = step.operation, operation_name(step.operation)
    for kinds, reach in ((WINDOWS, _window), (TRANSPOSED, _transposed), (PADDING, _padded), (CROPPING, _cropped)):
        if is_plain(layer, kinds):
            return reach
    if is_plain(layer, RESIZING):
        is_distorting = any(getattr(layer, f"{how}_to_aspect_ratio", False) for how in ("crop", "pad"))
        is_known = getattr(layer, "interpolation", "nearest") in ("nearest", "bilinear")
        return _resized if is_known and not is_distorting and not getattr(layer, "antialias", False) else None
    is_same = layer_type(step) in PLACE_BY_PLACE or name in MERGING or is_identity(layer)
    is_augmenting = name.startswith("Random") and name != "RandomCrop"  # which at inference does nothing
    of_channels = name == "Dense" or (name in ALONG_AN_AXIS and _is_last(layer.axis, rank))
    return _same_place if is_same or is_augmenting or of_channels else None


def _window(layer, axis: int, outputs: np.ndarray, before: int, after: int) -> np.ndarray:
    offsets, stride = _offsets(layer, axis)
    reach = offsets[-1] + 1
    same = max((after - 1) * stride + reach - before, 0) // 2
    padding = {"valid": 0, "same": same, "causal": reach - 1}[layer.padding]
    return np.add.outer(stride * outputs - padding, offsets)


def _transposed(layer, axis: int, outputs: np.ndarray, before: int, after: int) -> np.ndarray:
    """The input i is spread over the outputs s i - p + d j, 0 <= j < k."""
    if layer.output_padding is not None:
        return np.arange(before)
    offsets, stride = _offsets(layer, axis)
    padding = max(offsets[-1] + 1 - stride, 0) // 2 if layer.padding == "same" else 0
    spread = np.subtract.outer(outputs + padding, offsets)
    return spread[spread % stride == 0] // stride


def _offsets(layer, axis: int) -> tuple[np.ndarray, int]:
    """The places of a window from its first, d j, and its stride."""
    size = (getattr(layer, "kernel_size", None) or layer.pool_size)[axis]
    apart = layer.dilation_rate[axis] if hasattr(layer, "dilation_rate") else 1
    return apart * np.arange(size), layer.strides[axis]


def _padded(layer, axis: int, outputs: np.ndarray, before: int, after: int) -> np.ndarray:
    return outputs - _ends(layer.padding)[axis][0]


def _cropped(layer, axis: int, outputs: np.ndarray, before: int, after: int) -> np.ndarray:
    return outputs + _ends(layer.cropping)[axis][0]


def _ends(pairs):
    """How much is put on or cut off before and after, for each axis; of a sequence Keras keeps but one pair."""
    return pairs if isinstance(pairs[0], (tuple, list)) else (pairs,)


def _resized(layer, axis: int, outputs: np.ndarray, before: int, after: int) -> np.ndarray:
    """The nearest place, or the two between which an output's centre lies, held at the ends."""
    centres = (outputs + 0.5) * before / after - 0.5
    if getattr(layer, "interpolation", "nearest") == "nearest":
        return np.floor(centres + 0.5).astype(int)
    return np.clip(np.concatenate([np.floor(centres), np.ceil(centres)]), 0, before - 1).astype(int)


def _same_place(layer, axis: int, outputs: np.ndarray, before: int, after: int) -> np.ndarray:
    """The same places; all of an axis that is spread over the outputs'."""
    return outputs if before == after else np.arange(before)


def _is_last(axis, rank: int) -> bool:
    axes = axis if isinstance(axis, (tuple, list)) else [axis]
    return [one % rank for one in axes] == [rank - 1]


def _shapes(graph: Graph, space: tuple[int, ...]) -> Mapping:
    """The shapes of all slots for images of this space."""
    if all(None not in shape[1:] for shape in graph.shapes.values()):
        return graph.shapes
    (image,) = graph.inputs
    values = {image: keras.KerasTensor((1, *space, graph.shapes[image][-1]))}
    for step in graph.nodes:
        outputs = keras.tree.flatten(step(values, step.operation.compute_output_spec))
        values.update(zip(step.writes, outputs))
    return {slot: tuple(tensor.shape) for slot, tensor in values.items()}
