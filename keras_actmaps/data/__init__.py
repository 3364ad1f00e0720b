"""Data sets as tf.data pipelines: `load(name)` gives `.train`, `.validation`, `.test` and `.info`.

TensorFlow carries them, whichever framework Keras runs on.
"""

import keras

try:
    import tensorflow as tf
except ImportError as error:
    raise ImportError(
        "keras_actmaps.data makes tf.data pipelines, which need TensorFlow beside any Keras backend: pip install "
        "tensorflow tensorflow-datasets"
    ) from error
if keras.backend.backend() != "tensorflow":
    tf.config.set_visible_devices([], "GPU")  # whose memory TensorFlow would take from the other framework

from keras_actmaps.data import sources
from keras_actmaps.data.cifar10 import cifar10
from keras_actmaps.data.folder import folder
from keras_actmaps.data.grid import drawn_grid, grid
from keras_actmaps.data.pets import pets
from keras_actmaps.data.records import Data, Info
from keras_actmaps.data.sources import DataUnavailable, is_prepared
from keras_actmaps.data.truth import boxes, masks, truth_of

DATASETS = {"grid": grid, "drawn-grid": drawn_grid, "cifar10": cifar10, "pets": pets}

__all__ = ["DATASETS", "Data", "DataUnavailable", "Info", "boxes", "default", "is_prepared", "load", "masks",
           "truth_of"]  # fmt: skip


def load(name: str, data_dir=None, **settings) -> Data:
    """A data set by name, or `folder:DIR`.

    settings: `batch_size`, `seed`, `limit` (images of each split at most), and `size` for pets and folders.
    Raises ValueError for an unknown name, DataUnavailable (an OSError) where the data is not to be had.
    """
    if name.startswith("folder:"):
        return folder(name.removeprefix("folder:"), **settings)  # which needs no data_dir
    if name not in DATASETS:
        raise ValueError(f"no data set {name!r}; there are: {', '.join(DATASETS)}, folder:DIR")
    return DATASETS[name](data_dir, **settings)


def default(data_dir=None) -> tuple[str, str]:
    """The data set to take when none is named, and why in one line: `grid` where it is to be had, else drawn."""
    if sources.is_available(("mnist", "fashion_mnist"), data_dir):
        return "grid", "data set: grid (its MNIST and Fashion-MNIST are at hand)"
    return "drawn-grid", (
        "data set: drawn-grid, a drawn stand-in, because MNIST and Fashion-MNIST are neither prepared in "
        f"{', '.join(map(str, sources.places(data_dir)))} nor to be fetched now"
    )
