"""What the targets of `kam.targets` share: arrays in frozen records, and the outputs of a model by name."""

from typing import Any

import numpy as np

from keras_actmaps.core.attribution import Target
from keras_actmaps.core.types import Array, Tensor


class TargetWithArray(Target):
    """A target with an array; equal if all fields are."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and hash(self) == hash(other)

    def __hash__(self) -> int:
        return hash((self.program_key, *((array.shape, array.tobytes()) for array in self.arrays)))


def set_array(target: Target, name: str, ranks: tuple[int, int]) -> None:
    """Make a field a float32 array with an axis of inputs; ValueError for another rank, or NaN or Inf."""
    array = finite_array(target, name)
    if array.ndim not in ranks:
        raise ValueError(
            f"{name} of {type(target).__name__} must have {ranks[0]} axes, or {ranks[1]} with one row per input, got "
            f"shape {array.shape}"
        )
    object.__setattr__(target, name, array if array.ndim == ranks[1] else array[None])


def finite_array(target: Target, name: str) -> Array:
    """A field as a float32 array; ValueError for anything but finite numbers."""
    try:
        array = np.asarray(getattr(target, name), "float32")
    except (TypeError, ValueError):
        raise ValueError(f"{name} of {type(target).__name__} must be an array of numbers") from None
    if not np.isfinite(array).all():
        raise ValueError(f"{name} of {type(target).__name__} must have finite values, got NaN or Inf")
    return array


def sides_of(array: Array) -> str:
    """The shape of the array of a target as text, such as `5 x 8 x 12`, or `8 x 12` of one for all inputs."""
    return " x ".join(map(str, array.shape[1:] if len(array) == 1 else array.shape))


def select_output(outputs: Any, name: str | int | None) -> Tensor:
    """The output of that name, or the only one for None; ValueError for one that does not exist."""
    if hasattr(outputs, "shape"):
        if name is None:
            return outputs
        raise ValueError(f"output {name!r} does not exist; the model has one output, for which name is None")
    choices = list(outputs) if isinstance(outputs, dict) else list(range(len(outputs)))
    if name not in choices:
        raise ValueError(f"output {name!r} does not exist; choices: {', '.join(map(str, choices))}")
    return outputs[name]
