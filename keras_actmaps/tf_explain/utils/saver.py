"""tf-explain's files, and an error where one cannot be written."""

from pathlib import Path

import cv2

__all__ = ["save_grayscale", "save_rgb"]


def save_grayscale(image, output_dir, output_name) -> None:
    """Write a picture (H,W) or (H,W,1) to a folder, which is made where it is missing; OSError where that fails."""
    path = Path(output_dir) / output_name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image):
        raise OSError(f"cannot write {str(path)!r}")


def save_rgb(image, output_dir, output_name) -> None:
    """Write a picture (H,W,3) as `save_grayscale` does."""
    save_grayscale(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), output_dir, output_name)
