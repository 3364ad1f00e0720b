"""Targets of segmentation networks of any rank (series, images, volumes): a class in a region."""

from collections.abc import Hashable
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from keras import ops

from keras_actmaps.core.attribution import Target
from keras_actmaps.core.target_parts import TargetWithArray, finite_array, select_output, sides_of
from keras_actmaps.core.types import Array, Tensor


@dataclass(frozen=True, eq=False)
class Region(TargetWithArray):
    """The sum of a class's logits over a region of a segmentation (Vinogradova et al. 2020, eq. 3).

    Attributes
    ----------
    number : int
        The class; for a single sigmoid, class 1 is the logit and class 0 its negative.
    mask : array of shape (*space) or (N, *space)
        The region, one for all inputs or one for each, at the size of the output: (h, w) for images, (t,) for series,
        (d, h, w) for volumes; boolean, or weights.
    name : str, int or None
        Key or position of the output in the model's outputs; None for a single output.
    axis : int or None
        The axis of the classes in the output (N, ...); None is 1 for PyTorch modules and the last one for Keras models.
    """

    number: int
    mask: Any
    name: str | int | None = None
    axis: int | None = None

    def __post_init__(self) -> None:
        mask = finite_array(self, "mask")
        if not 1 <= mask.ndim <= 4:
            raise ValueError(
                "mask of Region must have the axes of the output, such as (h, w), and one more where each input has a "
                f"mask, got shape {mask.shape}"
            )
        object.__setattr__(self, "mask", mask if mask.ndim > 2 else mask[None])  # `in_layout` knows the rank

    def __repr__(self) -> str:
        return f"Region(class {self.number}, mask of {sides_of(self.mask)}{_output(self.name)})"

    @property
    def arrays(self) -> tuple[Array, ...]:
        return (self.mask,)

    @property
    def program_key(self) -> Hashable:
        return type(self), self.number, self.name, self.axis

    def in_layout(self, channels_first: bool, outputs: Any = None) -> "Region":
        region = copy(self)
        if self.axis is None and channels_first:
            object.__setattr__(region, "axis", 1)
        if outputs is not None:
            rank = len(_segmentation(outputs, self.name).shape) - 2
            object.__setattr__(region, "mask", _per_input(self.mask, rank))
        return region

    def score(self, outputs: Any, *arrays: Tensor) -> Tensor:
        return _FixedRegion(self.number, self.name, self.axis).score(outputs, *arrays)


@dataclass(frozen=True)
class PredictedRegion(Target):
    """The sum of a class's logits over the pixels at which the segmentation predicts this class.

    The region is that of the original inputs. It has no gradient, and stays the same while a method perturbs the
    inputs. `name` and `axis` as for `Region`.
    """

    number: int
    name: str | int | None = None
    axis: int | None = None

    def __repr__(self) -> str:
        return f"PredictedRegion(class {self.number}{_output(self.name)})"

    @property
    def settled(self) -> Target:
        return _FixedRegion(self.number, self.name, self.axis)

    def in_layout(self, channels_first: bool, outputs: Any = None) -> "PredictedRegion":
        return replace(self, axis=1) if self.axis is None and channels_first else self

    def settle(self, outputs: Any, *arrays: Tensor) -> tuple[Tensor, ...]:
        output = _classes_last(outputs, self.name, self.axis)
        logits = _class_map(output, self.number)
        return (logits > 0 if output.shape[-1] == 1 else ops.argmax(output, axis=-1) == self.number,)

    def score(self, outputs: Any, *arrays: Tensor) -> Tensor:
        return self.settled.score(outputs, *map(ops.stop_gradient, self.settle(outputs)))


@dataclass(frozen=True)
class _FixedRegion(Target):
    """A `Region` whose masks, one per input, are known to the programs only."""

    number: int
    name: str | int | None
    axis: int | None
    array_count = 1

    def score(self, outputs: Any, *arrays: Tensor) -> Tensor:
        return _sum_over(_class_map(_classes_last(outputs, self.name, self.axis), self.number), *arrays)


def _output(name: str | int | None) -> str:
    return "" if name is None else f", output {name!r}"


def _per_input(mask: Array, rank: int) -> Array:
    """A mask (N or 1, *space) for a space of so many axes, of one that `Region` took for that of images."""
    if rank == 1 and mask.ndim == 3 and len(mask) == 1:
        return mask[0]
    return mask[None] if mask.ndim == rank else mask


def _sum_over(logits: Tensor, mask: Tensor) -> Tensor:
    """The sums (N,) of logits (N, *space) weighted by masks; ValueError for masks of another size."""
    expected, found = tuple(logits.shape[1:]), tuple(mask.shape[1:])
    if expected != found:
        raise ValueError(f"a mask of shape {found} does not fit the segmentation of shape {expected}")
    return ops.sum(logits * ops.cast(mask, logits.dtype), axis=tuple(range(1, len(logits.shape))))


def _segmentation(outputs: Any, name: str | int | None) -> Any:
    """The output of that name; ValueError if it has no spatial axes."""
    output = select_output(outputs, name)
    if len(getattr(output, "shape", ())) < 3:
        raise ValueError(f"a segmentation has outputs (N, ..., classes), got shape {tuple(output.shape)}")
    return output


def _classes_last(outputs: Any, name: str | int | None, axis: int | None) -> Tensor:
    """A segmentation (N, ..., classes); ValueError for another output and for an axis that cannot be the classes."""
    output = _segmentation(outputs, name)
    axis, rank = -1 if axis is None else axis, len(output.shape)
    if not isinstance(axis, int) or axis == 0 or not -rank < axis < rank:
        choices = ", ".join(map(str, range(1, rank - 1)))
        raise ValueError(
            f"axis must be {choices} or {rank - 1} in outputs of shape {tuple(output.shape)}, got {axis!r}"
        )
    return ops.moveaxis(output, axis, -1)


def _class_map(output: Tensor, number: int) -> Tensor:
    """The logits (N, ...) of a class; ValueError for an unknown class."""
    classes = max(output.shape[-1], 2)
    if not 0 <= number < classes:
        raise ValueError(f"class {number} does not exist; there are classes 0 to {classes - 1}")
    if output.shape[-1] == 1:
        return output[..., 0] if number else -output[..., 0]
    return output[..., number]
