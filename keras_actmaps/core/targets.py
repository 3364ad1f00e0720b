"""Targets: scores to explain other than the logit of a class.

    kam.explain(model, images, targets=kam.targets.Difference(3, 5))   # why 3 and not 5

A target is called on the logits and returns one score per input. Targets are frozen, so that equal
targets share compiled programs. A plain function of the model's outputs, softmax included, is a target as well.
"""

from collections.abc import Hashable
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

from keras import ops

from keras_actmaps.core.attribution import Target
from keras_actmaps.core.box_targets import Box
from keras_actmaps.core.region_targets import PredictedRegion, Region
from keras_actmaps.core.target_parts import TargetWithArray, select_output, set_array, sides_of
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

    def __repr__(self) -> str:
        return f"Class({self.number})"

    def score(self, outputs: Tensor, *arrays: Tensor) -> Tensor:
        return _logit(outputs, self.number)


class _Compound(Target):
    """A target whose fields are all targets or classes."""

    def __repr__(self) -> str:
        values = (getattr(self, one.name) for one in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(map(repr, values))})"

    @property
    def parts(self) -> list[Target]:
        """The fields as targets."""
        found = [getattr(self, one.name) for one in fields(self)]  # type: ignore[arg-type]
        return [part if isinstance(part, Target) else Class(part) for part in found]

    @property
    def arrays(self) -> tuple[Array, ...]:
        return tuple(array for part in self.parts for array in part.arrays)

    @property
    def array_count(self) -> int:
        return sum(part.array_count for part in self.parts)

    @property
    def program_key(self) -> Hashable:
        return type(self), *(part.program_key for part in self.parts)

    @property
    def explained_outputs(self) -> tuple[str | int, ...]:
        return tuple(name for part in self.parts for name in part.explained_outputs)

    def for_perturbations(self) -> Target:
        return type(self)(*(part.for_perturbations() for part in self.parts))

    def in_layout(self, channels_first: bool, outputs: Any = None) -> Target:
        return type(self)(*(part.in_layout(channels_first, outputs) for part in self.parts))

    @property
    def settled(self) -> Target:
        return type(self)(*(part.settled for part in self.parts))

    def settle(self, outputs: Any, *arrays: Tensor) -> tuple[Tensor, ...]:
        return tuple(
            array for part, own in zip(self.parts, self._split(arrays)) for array in part.settle(outputs, *own)
        )

    def scores(self, outputs: Any, arrays: tuple[Tensor, ...]) -> list[Tensor]:
        """The scores (N,) of each part."""
        return [part.score(outputs, *own) for part, own in zip(self.parts, self._split(arrays))]

    def _split(self, arrays: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
        """The arrays of each part."""
        remaining = iter(arrays)
        return [tuple(islice(remaining, part.array_count)) for part in self.parts]


@dataclass(frozen=True, repr=False)
class Difference(_Compound):
    """The score of `first` minus that of `second`, classes or targets: why the first rather than the second."""

    first: Target | int
    second: Target | int

    def score(self, outputs: Any, *arrays: Tensor) -> Tensor:
        first, second = self.scores(outputs, arrays)
        return first - second


@dataclass(frozen=True, repr=False)
class Negative(_Compound):
    """The negative of another target, or of a class: the evidence against it."""

    target: Target | int

    def score(self, outputs: Any, *arrays: Tensor) -> Tensor:
        return -self.scores(outputs, arrays)[0]


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
        output = select_output(outputs, self.name)
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
        output = select_output(outputs, self.name)
        return ops.mean(output, axis=tuple(range(1, len(output.shape))))


@dataclass(frozen=True, eq=False)
class Similarity(TargetWithArray):
    """The cosine similarity of the output, an embedding (N, D), to another embedding.

    Attributes
    ----------
    embedding : array of shape (D,) or (N, D)
        One for all inputs, or one for each.
    """

    embedding: Any

    def __post_init__(self) -> None:
        set_array(self, "embedding", ranks=(1, 2))

    def __repr__(self) -> str:
        return f"Similarity(embedding of {sides_of(self.embedding)})"

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
