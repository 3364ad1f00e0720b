"""Where the thing is: what `Data.truth` gives, as masks and as boxes."""

from collections.abc import Mapping

import numpy as np

PET = 1  # in the trimap of pets; 2 is background, 3 the undecided border


def masks(truth: Mapping[str, np.ndarray], space: tuple[int, int]) -> np.ndarray:
    """bool (N,H,W): the garment's cell of a grid; the pet of a photograph, without the undecided border.

    truth: the last of what a batch of `truth(split)` gives, as NumPy arrays. space: (H,W) of the images. ValueError for
    a data set that has no masks.
    """
    if "mask" in truth:
        return np.asarray(truth["mask"]) == PET
    if "position" not in truth:
        raise ValueError(_nothing("masks", truth))
    found = np.zeros((len(truth["position"]), *space), bool)
    for mask, (y0, x0, y1, x1) in zip(found, _cells(truth["position"], space)):
        mask[y0:y1, x0:x1] = True
    return found


def boxes(truth: Mapping[str, np.ndarray], space: tuple[int, int]) -> np.ndarray:
    """(N,4) of (y0, x0, y1, x1), pixels, half open: the garment's cell; a pet's head, (0, 0, 0, 0) where it has none.

    truth, space: as for `masks`. ValueError for a data set that has no boxes.
    """
    if "head_box" in truth:
        return np.asarray(truth["head_box"])
    if "position" not in truth:
        raise ValueError(_nothing("boxes", truth))
    return _cells(truth["position"], space)


def truth_of(truth: Mapping[str, np.ndarray], space: tuple[int, int]) -> dict[str, np.ndarray]:
    """{"masks": (N,H,W), "boxes": (N,4)}, or what of these the data set knows; truth, space: as for `masks`."""
    keys = {"masks": (masks, "mask"), "boxes": (boxes, "head_box")}
    return {name: find(truth, space) for name, (find, key) in keys.items() if key in truth or "position" in truth}


def _cells(positions, space: tuple[int, int]) -> np.ndarray:
    height, width = (side // 2 for side in space)
    tops, lefts = np.asarray(positions) // 2 * height, np.asarray(positions) % 2 * width
    return np.stack([tops, lefts, tops + height, lefts + width], axis=1)


def _nothing(what: str, truth: Mapping) -> str:
    known = ", ".join(truth) or "labels"
    return f"the data set has no {what} to measure against, only {known}; grid, drawn-grid and pets have them"
