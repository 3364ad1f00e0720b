"""Cut-outs: images of which all but the explained part is dimmed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_actmaps.core.types import Array
from keras_actmaps.render.colors import enlarged
from keras_actmaps.render.images import pixels

DIMMED = 0.25  # of the brightness


def cutout(images: ArrayLike, masks: ArrayLike, bands: str | Sequence[int] = "mean") -> Array:
    """The images with the pixels outside of masks at a quarter of their brightness.

    Parameters
    ----------
    images : array of shape (N, H, W, C)
        In any common range; see `pixels`.
    masks : bool array of shape (N, h, w)
        Such as those of `kam.masks`; enlarged to larger images that show the same.
    bands
        As for `pixels`.

    Returns
    -------
    uint8 array of shape (N, H, W, 3)

    Raises
    ------
    ValueError
        For masks that are no bool (N, h, w), and images that do not fit them.
    """
    drawn, inside = pixels(images, bands), np.asarray(masks)
    if inside.dtype != bool or inside.ndim != 3:
        raise ValueError(f"masks must be bool (N, H, W), got {inside.dtype} of shape {inside.shape}")
    if len(inside) != len(drawn) or any(large < small for large, small in zip(drawn.shape[1:3], inside.shape[1:])):
        raise ValueError(f"images of shape {np.shape(images)} do not fit masks of shape {inside.shape}")
    if drawn.shape[1:3] != inside.shape[1:]:
        inside = enlarged(inside.astype("float32"), drawn.shape[1:3]) > 0.5
    return np.where(inside[..., None], drawn, np.rint(drawn * DIMMED)).astype("uint8")
