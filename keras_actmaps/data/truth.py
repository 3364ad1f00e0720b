"""Ground truth for localization: masks and boxes from what `Data.truth` yields."""

from collections.abc import Callable, Mapping

import numpy as np

from keras_actmaps.core.types import Array

PET = 1  # in the trimap of pets; 2 is background, 3 the border


def masks(truth: Mapping[str, Array], space: tuple[int, int]) -> Array:
    """Masks of the object that decides the class.

    Parameters
    ----------
    truth : mapping
        The third part of a batch of `Data.truth(split)`, as NumPy arrays.
    space : tuple
        (H, W) of the images.

    Returns
    -------
    bool array of shape (N, H, W)
        The garment's cell of a grid; the pet of a photograph, without its border.

    Raises
    ------
    ValueError
        For a data set without masks.
    """
    if "mask" in truth:
        return np.asarray(truth["mask"]) == PET
    if "position" not in truth:
        raise ValueError(_missing("masks", truth))
    found = np.zeros((len(truth["position"]), *space), bool)
    for mask, (y0, x0, y1, x1) in zip(found, _cells(truth["position"], space)):
        mask[y0:y1, x0:x1] = True
    return found


def boxes(truth: Mapping[str, Array], space: tuple[int, int]) -> Array:
    """Bounding boxes of the object that decides the class.

    Parameters
    ----------
    truth, space
        As for `masks`.

    Returns
    -------
    array of shape (N, 4)
        (y0, x0, y1, x1) in pixels, half open: the garment's cell of a grid; the head of a pet, (0, 0, 0, 0) where the
        data set has none.

    Raises
    ------
    ValueError
        For a data set without boxes.
    """
    if "head_box" in truth:
        return np.asarray(truth["head_box"])
    if "position" not in truth:
        raise ValueError(_missing("boxes", truth))
    return _cells(truth["position"], space)


def truth_of(truth: Mapping[str, Array], space: tuple[int, int]) -> dict[str, Array]:
    """The available ones of {"masks": (N, H, W), "boxes": (N, 4)}; arguments as for `masks`."""
    found: dict[str, tuple[Callable, str]] = {"masks": (masks, "mask"), "boxes": (boxes, "head_box")}
    return {
        name: function(truth, space) for name, (function, key) in found.items() if key in truth or "position" in truth
    }


def _cells(positions: Array, space: tuple[int, int]) -> Array:
    height, width = (side // 2 for side in space)
    tops, lefts = np.asarray(positions) // 2 * height, np.asarray(positions) % 2 * width
    return np.stack([tops, lefts, tops + height, lefts + width], axis=1)


def _missing(what: str, truth: Mapping) -> str:
    known = ", ".join(truth) or "labels"
    return f"the data set has no {what}, only {known}; grid, drawn-grid and pets have {what}"
