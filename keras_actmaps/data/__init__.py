"""Data sets as tf.data pipelines: `load(name)` returns `.train`, `.validation`, `.test` and `.info`.

The pipelines need TensorFlow, whichever framework Keras runs on.
"""

import os
from collections.abc import Callable
from typing import Any

import keras

try:
    import tensorflow as tf
except ImportError as error:
    raise ImportError(
        "keras_actmaps.data builds tf.data pipelines, which need TensorFlow with every Keras backend; install it with: "
        "pip install tensorflow tensorflow-datasets"
    ) from error
if keras.backend.backend() != "tensorflow":
    tf.config.set_visible_devices([], "GPU")  # otherwise TensorFlow reserves the memory of the other framework

from keras_actmaps.core.settings import settings_of, show, validate_settings
from keras_actmaps.data import sources
from keras_actmaps.data.cifar10 import cifar10
from keras_actmaps.data.folder import folder
from keras_actmaps.data.geometry import fit_photo
from keras_actmaps.data.grid import drawn_grid, grid
from keras_actmaps.data.pets import pets
from keras_actmaps.data.records import Data, Info, readable_errors
from keras_actmaps.data.reviews import drawn_reviews, imdb
from keras_actmaps.data.sources import DataUnavailable, is_prepared
from keras_actmaps.data.truth import boxes, masks, truth_of

DATASETS: dict[str, Callable[..., Data]] = {
    "grid": grid,
    "drawn-grid": drawn_grid,
    "cifar10": cifar10,
    "pets": pets,
    "imdb": imdb,
    "drawn-reviews": drawn_reviews,
}

__all__ = [
    "DATASETS",
    "Data",
    "DataUnavailable",
    "Info",
    "boxes",
    "default",
    "fit_photo",
    "is_prepared",
    "load",
    "masks",
    "readable_errors",
    "truth_of",
]


def load(name: str, data_dir: str | os.PathLike | None = None, **settings: Any) -> Data:
    """A data set by name.

    Parameters
    ----------
    name : str
        "grid", "drawn-grid", "cifar10", "pets", "imdb", "drawn-reviews" or "folder:DIR".
    data_dir : path, optional
        Folder of TFDS data, searched before `$TFDS_DATA_DIR` and the default folder of TFDS.
    **settings
        `batch_size`, `seed`, `limit` (maximum number of images per split) and, for pets and folders, `size` (height and
        width of the images in pixels).

    Returns
    -------
    Data

    Raises
    ------
    ValueError
        For an unknown name or setting, or a setting that is out of range.
    DataUnavailable
        An OSError, if the data is neither prepared nor can be downloaded.
    FileNotFoundError
        For a folder that does not exist or contains no images.
    """
    if isinstance(name, str) and name.startswith("folder:"):
        path = name.removeprefix("folder:")
        return folder(path, **validate_settings("folder", settings_of(folder), settings))
    if not isinstance(name, str) or name not in DATASETS:
        raise ValueError(f"data set must be one of {', '.join(DATASETS)}, folder:DIR, got {show(name)}")
    function = DATASETS[name]
    return function(data_dir, **validate_settings(name, settings_of(function), settings))


def default(data_dir: str | os.PathLike | None = None) -> tuple[str, str]:
    """The default data set, and the reason in one line: `grid` where it is available, otherwise `drawn-grid`."""
    if sources.is_available(("mnist", "fashion_mnist"), data_dir):
        return "grid", "data set: grid (MNIST and Fashion-MNIST are available)"
    return "drawn-grid", (
        "data set: drawn-grid, a drawn stand-in, because MNIST and Fashion-MNIST are not prepared in "
        f"{', '.join(map(str, sources.search_paths(data_dir)))} and cannot be downloaded"
    )
