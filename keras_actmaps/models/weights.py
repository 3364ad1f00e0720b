"""Loading weights from files."""

import os
from pathlib import Path

import keras
import numpy as np

PREPROCESS = "preprocess"  # name of the preprocessing layer, whose weights are in no file


def load_weights(model: keras.Model, path: str | os.PathLike) -> None:
    """Load weights from a file.

    Parameters
    ----------
    model : keras.Model
    path : path
        A `.npz` file with arrays LAYER/VARIABLE, in which other arrays are ignored, or a `.weights.h5` file.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the weights do not fit the model.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {str(path)!r}")
    try:
        if path.suffix == ".h5":
            model.load_weights(path)
        else:
            _load_arrays(model, path)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"the weights in {str(path)!r} do not fit {model.name!r}: {error}") from error


def _load_arrays(model: keras.Model, path: Path) -> None:
    """Set the weights of all layers, once all have been found in the file."""
    arrays = np.load(path)
    found = {
        layer: [arrays[f"{layer.name}/{variable.name}"] for variable in layer.weights]
        for layer in model.layers
        if layer.weights and layer.name != PREPROCESS
    }
    for layer, values in found.items():
        layer.set_weights(values)
