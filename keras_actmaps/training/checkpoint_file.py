"""The checkpoint of a run: everything that training continues from, in one file."""

import json
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_actmaps.core.files import atomic_write
from keras_actmaps.models.model_files import load_model

CHECKPOINT = "checkpoint.keras"
_STATE, _BEST = "training.json", "best.keras"  # entries beside those of Keras

Epoch = dict[str, float]  # the number of an epoch and its logs


class Checkpoint(NamedTuple):
    """The state of training after an epoch.

    Attributes
    ----------
    model : keras.Model
        The model with its optimizer.
    history : list of dict
        The epochs so far.
    best : bytes
        The model of the best epoch so far, as a `.keras` file.
    """

    model: keras.Model
    history: list[Epoch]
    best: bytes


def write_checkpoint(path: Path, state: Checkpoint) -> None:
    """Write a `.keras` file that also contains the history, the seeds of random layers and the best model."""
    seeds = [ops.convert_to_numpy(seed).tolist() for seed in _seeds(state.model)]
    training = {"history": state.history, "seeds": seeds}
    with atomic_write(path) as temporary:
        state.model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(_STATE, json.dumps(training))
            archive.writestr(_BEST, state.best)


def read_checkpoint(path: Path) -> Checkpoint:
    """The state in a checkpoint; ValueError if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            training, best = json.loads(archive.read(_STATE)), archive.read(_BEST)
        history, seeds = list(training["history"]), training["seeds"]
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{str(path)!r} cannot be resumed: {error}; train again without --resume") from error
    model = load_model(path, compile=True)
    for variable, value in zip(_seeds(model), seeds, strict=True):
        variable.assign(np.asarray(value, variable.dtype))
    return Checkpoint(model, history, best)


def model_bytes(model: keras.Model, folder: Path) -> bytes:
    """A model without its optimizer, as the contents of a `.keras` file."""
    path = folder / f".{_BEST}"
    model.save(path, include_optimizer=False)
    contents = path.read_bytes()
    path.unlink()
    return contents


def _seeds(model: keras.Model) -> list[Any]:
    """The states of random layers, such as Dropout, which Keras does not save."""
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]
