"""What methods return, what targets are, and the axes and shapes of maps."""

from typing import Any, NamedTuple

from keras_actmaps.core.types import Tensor


class Target:
    """A target that is called on the logits, as those of `kam.targets`.

    Subclasses are frozen dataclasses, so that equal targets share compiled programs.
    """

    def __call__(self, outputs: Any) -> Tensor:
        """The scores (N,) of the outputs without a softmax or sigmoid."""
        raise TypeError(f"{type(self).__name__} does not define __call__")


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


def spatial_axes(features: Tensor) -> tuple[int, ...]:
    """The spatial axes of features (N, ..., C)."""
    return tuple(range(1, len(features.shape) - 1))


def map_shape(inputs: Any) -> tuple[int, ...]:
    """The shape of a map of these inputs: (H, W) for images, (T,) for sequences, (F,) for tables."""
    shape = tuple(inputs.shape[1:])
    return shape[:-1] or shape
