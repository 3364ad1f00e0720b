"""Targets: scores to explain other than the logit of a class.

    kam.explain(model, images, targets=kam.targets.Difference(3, 5))   # why 3 and not 5

A target is called on the logits and returns one score per input. Targets are frozen, so that equal
targets share compiled programs. A plain function of the model's outputs, softmax included, is a target as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras import ops

from keras_actmaps.core.attribution import Target
from keras_actmaps.core.types import Tensor

__all__ = ["Class", "Difference", "Mean", "Negative", "Output", "Similarity", "Target"]


@dataclass(frozen=True)
class Class(Target):
    """The logit of a class; for a single sigmoid, class 1 is the logit and class 0 its negative."""

    number: int

    def __call__(self, outputs: Tensor) -> Tensor:
        return _logit(outputs, self.number)


@dataclass(frozen=True)
class Difference(Target):
    """The logit of `first` minus that of `second`: why the first class rather than the second."""

    first: int
    second: int

    def __call__(self, outputs: Tensor) -> Tensor:
        return _logit(outputs, self.first) - _logit(outputs, self.second)


@dataclass(frozen=True)
class Negative(Target):
    """The negative of another target, or of a class: the evidence against it."""

    target: Target | int

    def __call__(self, outputs: Any) -> Tensor:
        target = self.target if isinstance(self.target, Target) else Class(self.target)
        return -target(outputs)


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

    def __call__(self, outputs: Any) -> Tensor:
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

    def __call__(self, outputs: Any) -> Tensor:
        output = _select(outputs, self.name)
        return ops.mean(output, axis=tuple(range(1, len(output.shape))))


@dataclass(frozen=True)
class Similarity(Target):
    """The cosine similarity of the output, an embedding (N, D), to another embedding of D numbers."""

    embedding: tuple[float, ...]

    def __init__(self, embedding: Sequence[float]):
        object.__setattr__(self, "embedding", tuple(float(number) for number in embedding))

    def __call__(self, outputs: Any) -> Tensor:
        outputs = _select(outputs, None)
        if tuple(outputs.shape[1:]) != (len(self.embedding),):
            raise ValueError(
                f"an embedding of {len(self.embedding)} numbers does not fit outputs {tuple(outputs.shape[1:])}"
            )
        other = ops.convert_to_tensor(self.embedding, dtype=outputs.dtype)
        lengths = ops.sqrt(ops.sum(outputs**2, axis=1)) * ops.sqrt(ops.sum(other**2))
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
