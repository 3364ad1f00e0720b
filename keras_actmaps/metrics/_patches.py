"""Patches of an image that are hidden as a whole, and their order of importance."""

from typing import Any

import numpy as np

from keras_actmaps.core.types import Array
from keras_actmaps.methods._masking import per_axis


def patch_labels(space: tuple[int, ...], patch: Any = 1) -> Array:
    """The number of the patch of each position, counted row by row; the last patch of an axis may be smaller.

    patch: side of a patch, or one per axis; ValueError if their number does not fit.
    """
    sides = per_axis("patch", patch, space)
    counts = tuple(-(-whole // side) for whole, side in zip(space, sides))
    positions = [np.arange(whole) // side for whole, side in zip(space, sides)]
    return np.ravel_multi_index(np.meshgrid(*positions, indexing="ij"), counts)


def patch_sums(maps: Array, labels: Array) -> Array:
    """The sum of each map (N, H, W) over each patch: (N, patches)."""
    return np.stack([np.bincount(labels.ravel(), one.ravel()) for one in maps])


def patch_ranks(maps: Array, patch: Any = 1) -> tuple[Array, int]:
    """The rank of the patch of each position, (N, H, W), 0 for the most important, and the number of patches.

    Patches are ordered by their mean, in descending order; ties are broken by position.
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


def random_sets(count: int, n: int, samples: int, seed: int) -> Array:
    """(samples, count): True for n of `count` patches, all sets of n equally likely."""
    return np.random.default_rng(seed).random((samples, count)).argsort(axis=1) < n


def random_patches(space: tuple[int, ...], patch: Any, samples: int, seed: int) -> Array:
    """(samples, H, W): True in a patch at a random position inside the image; ValueError for one larger than it."""
    default = tuple(1 if len(space) == 1 else max(1, side // 8) for side in space)
    sides = default if patch is None else per_axis("patch", patch, space)
    if any(side > whole for side, whole in zip(sides, space)):
        raise ValueError(f"patch must be at most as large as the image, {space}, got {patch}")
    free = [whole - side + 1 for whole, side in zip(space, sides)]
    corners = np.random.default_rng(seed).integers(0, free, (samples, len(space)))
    inside = np.ones((samples, *space), bool)
    for axis, (side, whole, first) in enumerate(zip(sides, space, corners.T), start=1):
        offsets = np.arange(whole) - first[:, None]
        shape = [1 if other not in (0, axis) else size for other, size in enumerate(inside.shape)]
        inside &= ((offsets >= 0) & (offsets < side)).reshape(shape)
    return inside
