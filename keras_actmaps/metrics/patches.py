"""Patches of an image that are hidden as a whole, and the order in which a map takes them."""

import numbers

import numpy as np

from keras_actmaps.methods._masking import per_axis
from keras_actmaps.methods.registry import check_count


def patches_of(space: tuple[int, ...], patch=1) -> np.ndarray:
    """The number, row by row, of the patch in which each place lies; the last along an axis may be smaller.

    patch: its side, or one for each axis. Raises ValueError where that does not fit.
    """
    sides = per_axis("patch", patch, space)
    counts = tuple(-(-whole // side) for whole, side in zip(space, sides))
    places = [np.arange(whole) // side for whole, side in zip(space, sides)]
    return np.ravel_multi_index(np.meshgrid(*places, indexing="ij"), counts)


def sums_over(maps: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """The sum of each map over each patch: (N,H,W) -> (N, patches)."""
    return np.stack([np.bincount(patches.ravel(), one.ravel()) for one in maps])


def ranked(maps: np.ndarray, patch=1) -> tuple[np.ndarray, int]:
    """How many patches are more important than that of each place, (N,H,W), and the number of patches.

    The most important is the one with the greatest mean; of equal ones, the first by its place.
    """
    patches = patches_of(maps.shape[1:], patch)
    means = sums_over(maps, patches) / np.bincount(patches.ravel())
    order = np.argsort(-means, axis=1, kind="stable")
    return np.argsort(order, axis=1).astype("int32")[:, patches], means.shape[1]


def numbers_of(steps: int, share: float, count: int) -> np.ndarray:
    """How many of `count` patches are changed after 0, 1, ..., `steps` equal steps up to a share of them, rounded down.

    ValueError for a share outside 0 to 1 and for more steps than patches.
    """
    check_count("steps", steps)
    if not isinstance(share, numbers.Real) or not 0 < share <= 1:
        raise ValueError(f"share={share!r} is not above 0 and at most 1")
    last = int(share * count + 1e-9)
    if steps > last:
        raise ValueError(f"steps={steps} are more than the {last} patches that are changed; give that or less")
    return np.arange(steps + 1) * last // steps
