"""What methods return, what targets are, and the axes and shapes of maps."""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_actmaps.core.types import Array, Tensor


class Target:
    """A target that is called on the logits, as those of `kam.targets`.

    Subclasses are frozen dataclasses, so that equal targets share compiled programs. Arrays, such as a mask for each
    image, are arguments of the programs: targets that differ in `arrays` only share programs as well.
    """

    def __call__(self, outputs: Any) -> Tensor:
        """The scores (N,) of the outputs without a softmax or sigmoid, of a target without arrays."""
        return self.score(outputs)

    def score(self, outputs: Any, *arrays: Tensor) -> Tensor:
        """The scores (N,) of the outputs; arrays: the rows of `arrays` that belong to these outputs."""
        raise TypeError(f"{type(self).__name__} does not define score")

    @property
    def arrays(self) -> tuple[Array, ...]:
        """Arrays (N, ...) with a row for each input, or (1, ...) for all."""
        return ()

    @property
    def program_key(self) -> Hashable:
        """What compiled programs depend on: all but the values of `arrays`."""
        return self

    @property
    def array_count(self) -> int:
        """The number of arrays that `score` takes."""
        return len(self.arrays)

    @property
    def explained_outputs(self) -> tuple[str | int, ...]:
        """Keys or positions of the outputs whose gradients it has, of a model with several; () if they are unknown."""
        name = getattr(self, "name", None)
        return () if name is None else (name,)

    def for_perturbations(self) -> "Target":
        """The target as methods explain it that need no gradients."""
        return self

    def in_layout(self, channels_first: bool, outputs: Any = None) -> "Target":
        """The target for images with channels first, or last, and for outputs of these shapes, if they are known."""
        return self

    @property
    def settled(self) -> "Target":
        """The target with all that it reads from predictions as arrays instead, which `settle` returns."""
        return self

    def settle(self, outputs: Any, *arrays: Tensor) -> tuple[Tensor, ...]:
        """The arrays (N, ...) of `settled`, for the outputs of the original inputs."""
        return arrays


class BoundTarget(Target):
    """A target with its arrays for some inputs, one row each. It is indexed as an array of targets is."""

    def __init__(self, target: Target, arrays: Sequence[Any]):
        self.target, self.bound = target, tuple(arrays)

    def __call__(self, outputs: Any) -> Tensor:
        return self.target.score(outputs, *self.bound)

    @property
    def explained_outputs(self) -> tuple[str | int, ...]:
        return self.target.explained_outputs

    def for_perturbations(self) -> "BoundTarget":
        return BoundTarget(self.target.for_perturbations(), self.bound)

    def __repr__(self) -> str:
        return repr(self.target)

    @property
    def program_key(self) -> Hashable:
        return self.target.program_key

    @property
    def settled(self) -> Target:
        return self.target.settled

    def settle(self, outputs: Any, *arrays: Tensor) -> tuple[Tensor, ...]:
        return self.target.settle(outputs, *self.bound)

    def __getitem__(self, rows: Any) -> "BoundTarget":
        return BoundTarget(self.target, [array[rows] for array in self.bound])


def bind(target: Target, count: int) -> Target:
    """A target with arrays, bound to `count` inputs; ValueError if the arrays have another length."""
    if not target.arrays:
        return target
    for array in target.arrays:
        if len(array) not in (1, count):
            raise ValueError(f"{type(target).__name__} has data of {len(array)} inputs, and there are {count} inputs")
    return BoundTarget(target, [np.broadcast_to(array, (count, *array.shape[1:])) for array in target.arrays])


def rows_of(targets: Any, rows: Any) -> Any:
    """The targets of some inputs; a function is the same for all."""
    return targets if callable(targets) and not isinstance(targets, BoundTarget) else targets[rows]


class Attribution(NamedTuple):
    """What a method returns.

    Attributes
    ----------
    values : tensor of shape (N, ..., C), (N, h, w) or (N, K, h, w)
        Signed, not yet reduced over channels, at the size of the input or of the layer.
    outputs : structure of tensors or None
        The logits of the same forward pass; None if the original inputs were not run.
    """

    values: Tensor
    outputs: Any = None


def tiled(targets: Any, times: int) -> Any:
    """The targets (N,) of inputs that are repeated as a whole, as tensors."""
    if isinstance(targets, BoundTarget):
        return BoundTarget(targets.target, [ops.concatenate([array] * times) for array in targets.bound])
    return targets if callable(targets) else ops.tile(targets, [times])


def pick(values: Tensor, indices: Tensor) -> Tensor:
    """Of values (N, K) those (N,) at integer indices (N,), in a third of the operations of `ops.take_along_axis`."""
    chosen = ops.equal(ops.expand_dims(indices, 1), np.arange(values.shape[1], dtype="int32"))
    return ops.sum(ops.where(chosen, values, ops.zeros_like(values)), axis=1)


def spatial_axes(features: Tensor) -> tuple[int, ...]:
    """The spatial axes of features (N, ..., C)."""
    return tuple(range(1, len(features.shape) - 1))


def map_shape(inputs: Any) -> tuple[int, ...]:
    """The shape of a map of these inputs: (H, W) for images, (T,) for sequences, (F,) for tables."""
    shape = tuple(inputs.shape[1:])
    return shape[:-1] or shape
