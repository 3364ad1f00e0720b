"""Normalization by statistics of the input itself: layer, group, root-mean-square and unit normalization."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import layers, ops

from keras_actmaps.core.plain_layers import is_plain
from keras_actmaps.core.types import Tensor

NORMALIZERS = tuple(
    getattr(layers, name)
    for name in ("LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization")
    if hasattr(layers, name)
)
SMALLEST_NORM = 1e-12  # of UnitNormalization


@dataclass(frozen=True)
class Normalizer:
    """y = gamma d s + beta, with d = x - mean(x), or d = x, and s = inverse(m) for the mean (or sum) m of d^2.

    Attributes
    ----------
    split, merge : callable
        x in groups, and back.
    axes : tuple of int
        The axes of a group, over which the statistics are taken.
    is_centered : bool
        Whether the mean is subtracted.
    gamma, beta : tensor
        Broadcastable to the groups.
    inverse : callable
        s of m.
    pool : callable
        The mean or the sum of squares, `ops.mean` or `ops.sum`.
    """

    split: Callable
    merge: Callable
    axes: tuple[int, ...]
    is_centered: bool
    gamma: Tensor
    beta: Tensor
    inverse: Callable
    pool: Callable = ops.mean

    def center(self, groups: Tensor) -> Tensor:
        """d: the deviations from the mean, if the normalizer subtracts it. The map is linear and self-adjoint."""
        return groups - ops.mean(groups, axis=self.axes, keepdims=True) if self.is_centered else groups

    def second_moment(self, deviations: Tensor) -> Tensor:
        """m: the mean or the sum of squares of each group."""
        return self.pool(ops.square(deviations), axis=self.axes, keepdims=True)

    def with_constant_scale(self, x: Tensor) -> Callable:
        """The layer as an affine function whose scale s is that of x."""
        scale = self.inverse(self.second_moment(self.center(self.split(x))))
        return lambda v: self.merge(self.gamma * self.center(self.split(v)) * scale + self.beta)


def is_normalizer(operation: Any) -> bool:
    """Whether this is one of the layers that `normalizer` describes."""
    return is_plain(operation, NORMALIZERS) and not getattr(operation, "rms_scaling", False)


def normalizer(layer: Any, shape: tuple) -> Normalizer:
    """The normalizer of a layer for inputs of this shape."""
    if isinstance(layer, layers.GroupNormalization):
        return _group_normalizer(layer, shape)
    axis = getattr(layer, "axis", -1)
    axes = tuple(sorted(one % len(shape) for one in (axis if isinstance(axis, (list, tuple)) else [axis])))
    column = [shape[one] if one in axes else 1 for one in range(len(shape))]
    if isinstance(layer, layers.UnitNormalization):
        limit = 1 / SMALLEST_NORM
        inverse, pool = (lambda m: ops.minimum(ops.rsqrt(ops.maximum(m, SMALLEST_NORM**2)), limit)), ops.sum
        return Normalizer(_same, _same, axes, False, ops.ones(()), ops.zeros(()), inverse, pool)
    is_layer = isinstance(layer, layers.LayerNormalization)
    gamma, beta = (layer.gamma, layer.beta) if is_layer else (layer.scale, None)
    return Normalizer(
        _same, _same, axes, is_layer, _reshaped(gamma, column, 1.0), _reshaped(beta, column, 0.0), _inverse(layer)
    )


def _group_normalizer(layer: Any, shape: tuple) -> Normalizer:
    axis = layer.axis % len(shape)
    grouped = (*shape[:axis], layer.groups, shape[axis] // layer.groups, *shape[axis + 1 :])
    column = [grouped[one] if one in (axis, axis + 1) else 1 for one in range(len(grouped))]
    axes = tuple(one for one in range(1, len(grouped)) if one != axis)
    gamma, beta = layer.gamma if layer.scale else None, layer.beta if layer.center else None
    return Normalizer(
        lambda x: ops.reshape(x, grouped),
        lambda groups: ops.reshape(groups, shape),
        axes,
        True,
        _reshaped(gamma, column, 1.0),
        _reshaped(beta, column, 0.0),
        _inverse(layer),
    )


def _inverse(layer: Any) -> Callable:
    return lambda moment: ops.rsqrt(moment + layer.epsilon)


def _reshaped(variable: Any, column: list[int], default: float) -> Tensor:
    """A weight as a float32 tensor that broadcasts to the groups; the default without one."""
    if variable is None:
        return ops.convert_to_tensor(default, "float32")
    return ops.reshape(ops.cast(ops.convert_to_tensor(variable), "float32"), column)


def _same(x: Tensor) -> Tensor:
    return x
