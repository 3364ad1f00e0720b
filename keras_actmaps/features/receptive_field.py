"""Receptive fields: the part of the input that a unit depends on, from the windows and strides of the layers below."""

import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import layers

from keras_actmaps.core.graph import Graph, Node, run_backward
from keras_actmaps.core.layer_types import layer_type, operation_name
from keras_actmaps.core.plain_layers import is_plain
from keras_actmaps.core.rewrite import is_identity
from keras_actmaps.core.types import Array, Slot

Box: TypeAlias = tuple[slice, ...]

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
ELEMENTWISE = ("affine", "activation", "product")  # types of nodes
MERGING = ("Add", "Subtract", "Average", "Maximum", "Minimum")
ALONG_AN_AXIS = ("Concatenate", "LayerNormalization", "RMSNormalization", "UnitNormalization", "Softmax")


@dataclass(frozen=True, eq=False)
class Region:
    """Positions of a tensor along each spatial axis. The sum of two regions is their union, for merging branches."""

    places: tuple[Array, ...]

    def __add__(self, other: "Region") -> "Region":
        return Region(tuple(map(np.union1d, self.places, other.places)))


def receptive_field(graph: Graph, slot: Slot, place: tuple[int, ...], space: tuple[int, ...]) -> Box:
    """The smallest box of the input that contains everything a unit depends on.

    Output o of a window of k positions, with dilation d, stride s and p positions of padding before the first, depends
    on the inputs s o - p + d j, 0 <= j < k (Araujo et al. 2019, section 2); the fields of branches are united.

    Parameters
    ----------
    graph : Graph
    slot : int
        The tensor of the unit.
    place : tuple of int
        Position of the unit along each spatial axis; () for a layer without spatial axes.
    space : tuple of int
        Shape of the image, (H, W).

    Returns
    -------
    tuple of slice
        Crops the box from an image (H, W, C). Layers of unknown type are assumed to depend on their whole input, like
        global pooling, so that the box may be too large but is never too small. It is empty for a unit that depends on
        padding only.
    """
    shapes = _shapes(graph, space)

    def rule(node: Node, arrived: list[Region | None]) -> list[Region]:
        outputs = functools.reduce(operator.add, (region for region in arrived if region is not None))
        return [_input_region(node, outputs, shapes[read], shapes[node.writes[0]]) for read in node.reads.values()]

    arrived = run_backward(graph.nodes, {slot: Region(tuple(np.array([at]) for at in place))}, rule)
    ends = ((int(at.min()), int(at.max()) + 1) if at.size else (0, 0) for at in arrived[graph.inputs[0]].places)
    return tuple(slice(*pair) for pair in ends)


def _input_region(node: Node, outputs: Region, before: tuple, after: tuple) -> Region:
    """The region of an input that some outputs of a node depend on; before, after: shapes of input and output."""
    reach, sides = _reach(node, len(after)), before[1:-1]
    found = [np.arange(side) for side in sides]
    if reach is not None and len(before) == len(after):
        axes = enumerate(zip(outputs.places, sides, after[1:-1]))
        found = [np.unique(reach(node.operation, axis, *at)) for axis, at in axes]
        found = [places[(places >= 0) & (places < side)] for places, side in zip(found, sides)]
    is_empty = any(places.size == 0 for places in (*outputs.places, *found))
    return Region(tuple(places[:0] if is_empty else places for places in found))


def _reach(node: Node, rank: int) -> Callable[..., Array] | None:
    """A function from outputs to the inputs that they depend on, axis by axis; None if they depend on all inputs."""
    layer: Any = node.operation
    name = operation_name(layer)
    for classes, reach in ((WINDOWS, _window), (TRANSPOSED, _transposed), (PADDING, _padded), (CROPPING, _cropped)):
        if is_plain(layer, classes):
            return reach
    if is_plain(layer, RESIZING):
        is_distorting = any(getattr(layer, f"{how}_to_aspect_ratio", False) for how in ("crop", "pad"))
        is_known = getattr(layer, "interpolation", "nearest") in ("nearest", "bilinear")
        return _resized if is_known and not is_distorting and not getattr(layer, "antialias", False) else None
    is_elementwise = layer_type(node) in ELEMENTWISE or name in MERGING or is_identity(layer)
    is_augmentation = name.startswith("Random") and name != "RandomCrop"  # the identity at inference
    is_over_channels = name == "Dense" or (name in ALONG_AN_AXIS and _is_last(layer.axis, rank))
    return _same_positions if is_elementwise or is_augmentation or is_over_channels else None


def _window(layer: Any, axis: int, outputs: Array, before: int, after: int) -> Array:
    offsets, stride = _offsets(layer, axis)
    reach = offsets[-1] + 1
    same = max((after - 1) * stride + reach - before, 0) // 2
    padding = {"valid": 0, "same": same, "causal": reach - 1}[layer.padding]
    return np.add.outer(stride * outputs - padding, offsets)


def _transposed(layer: Any, axis: int, outputs: Array, before: int, after: int) -> Array:
    """Input i contributes to the outputs s i - p + d j, 0 <= j < k."""
    if layer.output_padding is not None:
        return np.arange(before)
    offsets, stride = _offsets(layer, axis)
    padding = max(offsets[-1] + 1 - stride, 0) // 2 if layer.padding == "same" else 0
    spread = np.subtract.outer(outputs + padding, offsets)
    return spread[spread % stride == 0] // stride


def _offsets(layer: Any, axis: int) -> tuple[Array, int]:
    """The positions d j of a window relative to its first, and its stride."""
    size = (getattr(layer, "kernel_size", None) or layer.pool_size)[axis]
    dilation = layer.dilation_rate[axis] if hasattr(layer, "dilation_rate") else 1
    return dilation * np.arange(size), layer.strides[axis]


def _padded(layer: Any, axis: int, outputs: Array, before: int, after: int) -> Array:
    return outputs - _pairs(layer.padding)[axis][0]


def _cropped(layer: Any, axis: int, outputs: Array, before: int, after: int) -> Array:
    return outputs + _pairs(layer.cropping)[axis][0]


def _pairs(amounts: Any) -> tuple:
    """The amounts before and after, for each axis; for sequences Keras stores a single pair."""
    return amounts if isinstance(amounts[0], (tuple, list)) else (amounts,)


def _resized(layer: Any, axis: int, outputs: Array, before: int, after: int) -> Array:
    """The nearest input, or the two around the center of an output, repeated at the edges."""
    centers = (outputs + 0.5) * before / after - 0.5
    if getattr(layer, "interpolation", "nearest") == "nearest":
        return np.floor(centers + 0.5).astype(int)
    return np.clip(np.concatenate([np.floor(centers), np.ceil(centers)]), 0, before - 1).astype(int)


def _same_positions(layer: Any, axis: int, outputs: Array, before: int, after: int) -> Array:
    """The same positions; the whole axis where it is broadcast."""
    return outputs if before == after else np.arange(before)


def _is_last(axis: Any, rank: int) -> bool:
    axes = axis if isinstance(axis, (tuple, list)) else [axis]
    return [one % rank for one in axes] == [rank - 1]


def _shapes(graph: Graph, space: tuple[int, ...]) -> Mapping[Slot, tuple]:
    """The shapes of all slots for an image of this space."""
    if all(None not in shape[1:] for shape in graph.shapes.values()):
        return graph.shapes
    (image,) = graph.inputs
    values = {image: keras.KerasTensor((1, *space, graph.shapes[image][-1]))}
    for node in graph.nodes:
        outputs = keras.tree.flatten(node(values, getattr(node.operation, "compute_output_spec", None)))
        values.update(zip(node.writes, outputs))
    return {slot: tuple(tensor.shape) for slot, tensor in values.items()}
