"""Targets: scores to explain other than the logit of a class.

    kam.explain(model, images, targets=kam.targets.Difference(3, 5))   # why 3 and not 5

A target is called on the logits and returns one score per input. Targets are frozen, so that equal
targets share compiled programs. A plain function of the model's outputs, softmax included, is a target as well.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_actmaps.core.attribution import Target
from keras_actmaps.core.types import Array, Tensor

__all__ = [
    "Box",
    "Class",
    "Difference",
    "Mean",
    "Negative",
    "Output",
    "PredictedRegion",
    "Region",
    "Similarity",
    "Target",
]


@dataclass(frozen=True)
class Class(Target):
    """The logit of a class; for a single sigmoid, class 1 is the logit and class 0 its negative."""

    number: int

    def score(self, outputs: Tensor, *arrays: Tensor) -> Tensor:
        return _logit(outputs, self.number)


@dataclass(frozen=True)
class Difference(Target):
    """The score of `first` minus that of `second`, classes or targets: why the first rather than the second."""

    first: Target | int
    second: Target | int

    @property
    def arrays(self) -> tuple[Array, ...]:
        return (*_target(self.first).arrays, *_target(self.second).arrays)

    @property
    def program_key(self) -> Hashable:
        return type(self), _target(self.first).program_key, _target(self.second).program_key

    def score(self, outputs: Any, *arrays: Tensor) -> Tensor:
        first, second = _target(self.first), _target(self.second)
        count = len(first.arrays)
        return first.score(outputs, *arrays[:count]) - second.score(outputs, *arrays[count:])

    def for_perturbations(self) -> "Difference":
        return Difference(_target(self.first).for_perturbations(), _target(self.second).for_perturbations())


@dataclass(frozen=True)
class Negative(Target):
    """The negative of another target, or of a class: the evidence against it."""

    target: Target | int

    @property
    def arrays(self) -> tuple[Array, ...]:
        return _target(self.target).arrays

    @property
    def program_key(self) -> Hashable:
        return type(self), _target(self.target).program_key

    def score(self, outputs: Any, *arrays: Tensor) -> Tensor:
        return -_target(self.target).score(outputs, *arrays)

    def for_perturbations(self) -> "Negative":
        return Negative(_target(self.target).for_perturbations())


@dataclass(frozen=True)
class Output(Target):
    """One element of an output.

    Attributes
    ----------
    name : str, int or None
        Key or position of the output in the model's outputs; None for a model with a single output.
    index : int or tuple of int
        Index in the output for one input, such as a class, or (y, x, channel).
    """

    name: str | int | None = None
    index: int | tuple[int, ...] = 0

    def score(self, outputs: Any, *arrays: Tensor) -> Tensor:
        output = _select(outputs, self.name)
        index = (self.index,) if isinstance(self.index, int) else self.index
        shape = tuple(output.shape[1:])
        if len(index) != len(shape) or any(not 0 <= one < side for one, side in zip(index, shape)):
            raise ValueError(f"index={self.index} is outside output {self.name!r} of shape {shape}")
        return output[(slice(None), *index)]


@dataclass(frozen=True)
class Mean(Target):
    """The mean of all elements of an output."""

    name: str | int | None = None

    def score(self, outputs: Any, *arrays: Tensor) -> Tensor:
        output = _select(outputs, self.name)
        return ops.mean(output, axis=tuple(range(1, len(output.shape))))


class _WithArray(Target):
    """A target with an array; equal if all fields are."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and hash(self) == hash(other)

    def __hash__(self) -> int:
        return hash((self.program_key, *((array.shape, array.tobytes()) for array in self.arrays)))


@dataclass(frozen=True, eq=False)
class Similarity(_WithArray):
    """The cosine similarity of the output, an embedding (N, D), to another embedding.

    Attributes
    ----------
    embedding : array of shape (D,) or (N, D)
        One for all inputs, or one for each.
    """

    embedding: Any

    def __post_init__(self) -> None:
        _set_array(self, "embedding", ranks=(1, 2))

    @property
    def arrays(self) -> tuple[Array, ...]:
        return (self.embedding,)

    @property
    def program_key(self) -> Hashable:
        return (type(self),)

    def score(self, outputs: Any, *arrays: Tensor) -> Tensor:
        (other,) = arrays
        expected, found = tuple(outputs.shape[1:]), tuple(other.shape[1:])
        if expected != found:
            raise ValueError(f"an embedding of shape {found} does not fit outputs of shape {expected}")
        other = ops.cast(other, outputs.dtype)
        lengths = ops.sqrt(ops.sum(outputs**2, axis=1)) * ops.sqrt(ops.sum(other**2, axis=1))
        return ops.divide_no_nan(ops.sum(outputs * other, axis=1), lengths)


@dataclass(frozen=True, eq=False)
class Region(_WithArray):
    """The sum of a class's logits over a region of a segmentation (Vinogradova et al. 2020, eq. 3).

    Attributes
    ----------
    number : int
        The class; for a single sigmoid, class 1 is the logit and class 0 its negative.
    mask : array of shape (h, w) or (N, h, w)
        The region, one for all inputs or one for each, at the size of the output; boolean, or weights.
    name : str, int or None
        Key or position of the output in the model's outputs; None for a single output.
    """

    number: int
    mask: Any
    name: str | int | None = None

    def __post_init__(self) -> None:
        _set_array(self, "mask", ranks=(2, 3))

    @property
    def arrays(self) -> tuple[Array, ...]:
        return (self.mask,)

    @property
    def program_key(self) -> Hashable:
        return type(self), self.number, self.name

    def score(self, outputs: Any, *arrays: Tensor) -> Tensor:
        logits, (mask,) = _class_map(_select(outputs, self.name), self.number), arrays
        expected, found = tuple(logits.shape[1:]), tuple(mask.shape[1:])
        if expected != found:
            raise ValueError(f"a mask of shape {found} does not fit the segmentation of shape {expected}")
        return ops.sum(logits * ops.cast(mask, logits.dtype), axis=(1, 2))


@dataclass(frozen=True)
class PredictedRegion(Target):
    """The sum of a class's logits over the pixels at which the segmentation predicts this class.

    The region is that of the explained pass and has no gradient. `name` as for `Region`.
    """

    number: int
    name: str | int | None = None

    def score(self, outputs: Any, *arrays: Tensor) -> Tensor:
        output = _select(outputs, self.name)
        logits = _class_map(output, self.number)
        region = logits > 0 if output.shape[-1] == 1 else ops.argmax(output, axis=-1) == self.number
        return ops.sum(logits * ops.stop_gradient(ops.cast(region, logits.dtype)), axis=(1, 2))


@dataclass(frozen=True, eq=False)
class Box(_WithArray):
    """A detection: the class's logit at the anchor that matches a box best, or a similarity to the detections.

    Methods with gradients explain the logit of class `number` at the anchor whose box has the highest intersection over
    union with `box`. Methods without them explain max_j IoU(box, b_j) p_j[number] / |p_j| (D-RISE, Petsiuk et al. 2021,
    eq. 3, with a one-hot class), which stays meaningful where a perturbed image has other detections. With a softmax or
    sigmoid at the class output, p_j are the probabilities; D-RISE's objectness is part of them.

    Attributes
    ----------
    number : int
        The class.
    box : array of shape (4,) or (N, 4)
        (x0, y0, x1, y1), or any other order of two corners that the model's boxes have, in their units.
    boxes, classes : str or int
        Keys or positions of the outputs (N, anchors, 4), decoded corners, and (N, anchors, classes).
    """

    number: int
    box: Any
    boxes: str | int = "boxes"
    classes: str | int = "classes"
    is_similarity: bool = False

    def __post_init__(self) -> None:
        _set_array(self, "box", ranks=(1, 2))
        if self.box.shape[-1] != 4:
            raise ValueError(f"a box has 4 coordinates, got shape {self.box.shape}")

    @property
    def arrays(self) -> tuple[Array, ...]:
        return (self.box,)

    @property
    def program_key(self) -> Hashable:
        return type(self), self.number, self.boxes, self.classes, self.is_similarity

    def for_perturbations(self) -> "Box":
        return Box(self.number, self.box, self.boxes, self.classes, is_similarity=True)

    def score(self, outputs: Any, *arrays: Tensor) -> Tensor:
        boxes, logits = _select(outputs, self.boxes), _select(outputs, self.classes)
        if len(boxes.shape) != 3 or boxes.shape[-1] != 4 or len(logits.shape) != 3:
            raise ValueError(
                f"Box needs outputs (N, anchors, 4) and (N, anchors, classes), got {tuple(boxes.shape)} and "
                f"{tuple(logits.shape)}"
            )
        if not 0 <= self.number < logits.shape[-1]:
            raise ValueError(f"class {self.number} does not exist; there are classes 0 to {logits.shape[-1] - 1}")
        overlaps = ops.stop_gradient(_intersection_over_union(ops.cast(arrays[0], boxes.dtype), boxes))
        if self.is_similarity:
            chances = ops.softmax(logits) if logits.shape[-1] > 1 else ops.sigmoid(logits)
            lengths = ops.sqrt(ops.sum(chances**2, axis=-1))
            return ops.max(overlaps * ops.divide_no_nan(chances[..., self.number], lengths), axis=1)
        best = ops.argmax(overlaps, axis=1)
        return ops.take_along_axis(logits[..., self.number], best[:, None], axis=1)[:, 0]


def _target(target: Target | int) -> Target:
    return target if isinstance(target, Target) else Class(target)


def _set_array(target: Target, name: str, ranks: tuple[int, int]) -> None:
    """Make a field a float32 array with an axis of inputs; ValueError for another rank, or NaN or Inf."""
    try:
        array = np.asarray(getattr(target, name), "float32")
    except (TypeError, ValueError):
        raise ValueError(f"{name} of {type(target).__name__} must be an array of numbers") from None
    if array.ndim not in ranks or not np.isfinite(array).all():
        raise ValueError(
            f"{name} of {type(target).__name__} must have {ranks[0]} axes, or {ranks[1]} with one row per input, and "
            f"finite values, got shape {array.shape}"
        )
    object.__setattr__(target, name, array if array.ndim == ranks[1] else array[None])


def _class_map(output: Tensor, number: int) -> Tensor:
    """The logits (N, h, w) of a class of a segmentation; ValueError for another output and for an unknown class."""
    if len(getattr(output, "shape", ())) != 4:
        raise ValueError(f"a segmentation has outputs (N, h, w, classes), got shape {tuple(output.shape)}")
    classes = max(output.shape[-1], 2)
    if not 0 <= number < classes:
        raise ValueError(f"class {number} does not exist; there are classes 0 to {classes - 1}")
    if output.shape[-1] == 1:
        return output[..., 0] if number else -output[..., 0]
    return output[..., number]


def _intersection_over_union(box: Tensor, boxes: Tensor) -> Tensor:
    """(N, anchors) of boxes (N, 4) and (N, anchors, 4), both by two corners."""
    box = box[:, None]
    low, high = ops.maximum(box[..., :2], boxes[..., :2]), ops.minimum(box[..., 2:], boxes[..., 2:])
    shared = ops.prod(ops.maximum(high - low, 0.0), axis=-1)
    areas = [ops.prod(ops.maximum(one[..., 2:] - one[..., :2], 0.0), axis=-1) for one in (box, boxes)]
    return ops.divide_no_nan(shared, areas[0] + areas[1] - shared)


def _logit(outputs: Tensor, number: int) -> Tensor:
    """The logit (N,) of a class; ValueError for one that does not exist."""
    if len(getattr(outputs, "shape", ())) != 2:
        raise ValueError("the outputs are not class scores (N, classes); use kam.targets.Output or a function")
    classes = max(outputs.shape[1], 2)
    if not 0 <= number < classes:
        raise ValueError(f"class {number} does not exist; there are classes 0 to {classes - 1}")
    if outputs.shape[1] == 1:
        return outputs[:, 0] if number else -outputs[:, 0]
    return outputs[:, number]


def _select(outputs: Any, name: str | int | None) -> Tensor:
    """The output of that name, or the only one for None; ValueError for one that does not exist."""
    if hasattr(outputs, "shape"):
        if name is None:
            return outputs
        raise ValueError(f"output {name!r} does not exist; the model has one output, for which name is None")
    choices = list(outputs) if isinstance(outputs, dict) else list(range(len(outputs)))
    if name not in choices:
        raise ValueError(f"output {name!r} does not exist; choices: {', '.join(map(str, choices))}")
    return outputs[name]
