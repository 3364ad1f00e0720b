"""Patches of an image that are hidden as a whole, and their order of importance."""

from typing import Any

import numpy as np

from keras_actmaps.core.types import Array
from keras_actmaps.methods._masking import per_axis


def patch_labels(space: tuple[int, ...], patch: Any = 1) -> Array:
    """The number of the patch in which each position lies, counted row by row; the last of an axis may be smaller.

    patch: side of a patch, or one per axis; ValueError where their number does not fit.
    """
    sides = per_axis("patch", patch, space)
    counts = tuple(-(-whole // side) for whole, side in zip(space, sides))
    positions = [np.arange(whole) // side for whole, side in zip(space, sides)]
    return np.ravel_multi_index(np.meshgrid(*positions, indexing="ij"), counts)


def patch_sums(maps: Array, labels: Array) -> Array:
    """The sum of each map (N, H, W) over each patch: (N, patches)."""
    return np.stack([np.bincount(labels.ravel(), one.ravel()) for one in maps])


def patch_ranks(maps: Array, patch: Any = 1) -> tuple[Array, int]:
    """How many patches are more important than that of each position, (N, H, W), and the number of patches.

    The most important patch has the greatest mean; of equal ones, the first comes first.
    """
    labels = patch_labels(maps.shape[1:], patch)
    means = patch_sums(maps, labels) / np.bincount(labels.ravel())
    order = np.argsort(-means, axis=1, kind="stable")
    return np.argsort(order, axis=1).astype("int32")[:, labels], means.shape[1]


def patches_after_steps(steps: int, share: float, count: int) -> Array:
    """How many of `count` patches are changed after 0, 1, ..., `steps` equal steps up to a share of them, rounded down.

    ValueError for more steps than patches.
    """
    last = int(share * count + 1e-9)
    if steps > last:
        raise ValueError(f"steps must be at most {last}, the number of patches that are changed, got {steps}")
    return np.arange(steps + 1) * last // steps
