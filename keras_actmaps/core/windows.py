"""Windows: the positions of a tensor that a change of a patch of the input can reach, as boxes of equal size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_actmaps.core.types import Array


@dataclass(frozen=True, eq=False)
class Windows:
    """One box per place of a patch, all of the same size, so that one program serves all places.

    Attributes
    ----------
    starts : int32 array of shape (places, axes)
        First position of each box along each spatial axis.
    sides : tuple of int
        Positions along each axis.
    """

    starts: Array
    sides: tuple[int, ...]

    @property
    def area(self) -> int:
        """The number of positions of a box."""
        return math.prod(self.sides)

    def equals(self, other: "Windows") -> bool:
        """Whether the boxes are the same."""
        return self.sides == other.sides and np.array_equal(self.starts, other.starts)


@dataclass(frozen=True)
class Reach:
    """Outputs o of a layer depend on the inputs stride * o - before, ..., stride * o - before + size - 1 of an axis.

    Attributes
    ----------
    size, stride, before : tuple of int
        For each axis: extent of the kernel, dilation included; stride; padding before the first input.
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    before: tuple[int, ...]

    @property
    def is_pointwise(self) -> bool:
        """Whether each output depends on the input at its own position only."""
        return {*self.size, *self.stride} == {1} and not any(self.before)

    def outputs(self, windows: Windows, space: Sequence[int]) -> Windows:
        """The outputs, in a map of shape `space`, that depend on inputs in the windows."""
        size, stride, before = map(np.array, (self.size, self.stride, self.before))
        first = -((size - 1 - before - windows.starts) // stride)  # rounded up
        end = (windows.starts + np.array(windows.sides) - 1 + before) // stride + 1
        return covering(first, end, space)

    def inputs(self, windows: Windows) -> Windows:
        """The inputs on which outputs in the windows depend; they may lie beyond the borders of the map."""
        starts = windows.starts * np.array(self.stride) - np.array(self.before)
        sides = zip(windows.sides, self.stride, self.size)
        return Windows(starts.astype("int32"), tuple((side - 1) * stride + size for side, stride, size in sides))


def covering(first: Array, end: Array, space: Sequence[int]) -> Windows:
    """The smallest boxes of equal size, within a map of shape `space`, that contain first <= position < end."""
    first, end = np.clip(first, 0, space), np.clip(end, 0, space)
    sides = np.maximum((end - first).max(axis=0), 1)
    return Windows(np.minimum(first, space - sides).astype("int32"), tuple(map(int, sides)))


def united(parts: Sequence[Windows], space: Sequence[int]) -> Windows:
    """The smallest windows that contain all of these."""
    first = np.min([part.starts for part in parts], axis=0)
    end = np.max([part.starts + np.array(part.sides) for part in parts], axis=0)
    return covering(first, end, space)
