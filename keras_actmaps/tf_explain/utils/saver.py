"""tf-explain's files, with an error if one cannot be written."""

import os
from pathlib import Path

import cv2

from keras_actmaps.core.types import Array

__all__ = ["save_grayscale", "save_rgb"]


def save_grayscale(image: Array, output_dir: str | os.PathLike, output_name: str) -> None:
    """Write a picture (H, W) or (H, W, 1) into a folder, which is created if missing; OSError if that fails."""
    path = Path(output_dir) / output_name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image):
        raise OSError(f"cannot write {str(path)!r}")


def save_rgb(image: Array, output_dir: str | os.PathLike, output_name: str) -> None:
    """Write a picture (H, W, 3) as `save_grayscale` does."""
    save_grayscale(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), output_dir, output_name)
