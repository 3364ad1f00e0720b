"""Maps as files that other programs read: TIFF with a page per map, NIfTI of volumes."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from keras_actmaps.core.files import atomic_write
from keras_actmaps.core.types import Array


def save_tiff(path: str | os.PathLike, maps: Array) -> Path:
    """Write maps (..., H, W) as a `.tiff` file of float32, one page per map, atomically.

    Raises
    ------
    ValueError
        For maps of fewer axes.
    OSError
        If the file cannot be written.
    """
    if maps.ndim < 3:
        raise ValueError(f"maps of shape {maps.shape} are no images; write them as .npz, .npy or .png")
    pages = [Image.fromarray(np.ascontiguousarray(one, "float32")) for one in maps.reshape(-1, *maps.shape[-2:])]
    with atomic_write(path) as temporary:
        pages[0].save(temporary, format="TIFF", save_all=True, append_images=pages[1:])
    return Path(path)


def save_nifti(path: str | os.PathLike, maps: Array) -> Path:
    """Write maps (N, D, H, W) as a NIfTI file of float32 with axes (W, H, D), or (W, H, D, N) for several, atomically.

    The affine is the identity: spacing and orientation of the scanner are not known here.

    Raises
    ------
    ValueError
        For maps that are not volumes.
    ImportError
        If nibabel is not installed.
    OSError
        If the file cannot be written.
    """
    if maps.ndim != 4:
        raise ValueError(f"NIfTI needs maps of volumes, (N, D, H, W), got {maps.shape}; write .npz, .npy or .png")
    try:
        import nibabel
    except ImportError:
        raise ImportError("NIfTI files need nibabel: pip install 'keras_actmaps[medical]'") from None
    volume = np.ascontiguousarray(maps.T[..., 0] if len(maps) == 1 else maps.T, "float32")
    with atomic_write(path) as temporary:
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), temporary)
    return Path(path)
