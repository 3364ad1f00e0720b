"""The test accuracy of a run, and what makes it doubtful."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_actmaps.core._keras_compat import all_layers
from keras_actmaps.models.model_files import load_model
from keras_actmaps.training.protocols import HEAD, compile_model
from keras_actmaps.training.runs import Metrics

if TYPE_CHECKING:
    from keras_actmaps.data import Data

COMPARED = 512  # test images with which the statistics of batch normalization are compared


def evaluate(best_model: bytes, folder: Path, data: "Data", has_trained: bool = True) -> Metrics:
    """Accuracy and loss on the test split, and what is needed to judge them.

    Parameters
    ----------
    best_model : bytes
        The model, as a `.keras` file.
    folder : Path
        A folder for temporary files.
    data : Data
    has_trained : bool
        Whether the statistics of batch normalization were made by this training.

    Returns
    -------
    dict
        `test_accuracy` and `test_loss`; `chance`, the accuracy of always naming the most frequent class; for a model
        with batch normalization also `moving_accuracy` and `batch_accuracy`, on about 500 images, with its moving
        statistics and with those of each batch.
    """
    path = folder / ".evaluated.keras"
    path.write_bytes(best_model)
    model = load_model(path)
    path.unlink()
    compile_model(model, HEAD, 1)
    loss, accuracy = model.evaluate(data.test, verbose=0)
    labels = np.concatenate([labels for _, labels in data.test.as_numpy_iterator()])
    metrics = {"test_accuracy": accuracy, "test_loss": loss, "chance": float(np.bincount(labels).max() / len(labels))}
    return metrics | (_with_both_statistics(model, data) if has_trained else {})


def _with_both_statistics(model: keras.Model, data: "Data") -> Metrics:
    """The accuracy with moving and with batch statistics; empty without batch normalization. The model is changed."""
    if not any(isinstance(layer, keras.layers.BatchNormalization) for layer in all_layers(model)):
        return {}
    right: dict[bool, list[Any]] = {False: [], True: []}
    seen = 0
    for images, labels in data.test.as_numpy_iterator():
        for training, rows in right.items():
            logits = ops.convert_to_numpy(model(images, training=training))
            rows.append(logits.argmax(-1) == labels)
        seen += len(images)
        if seen >= COMPARED:
            break
    moving, batch = (float(np.concatenate(rows).mean()) for rows in right.values())
    return {"moving_accuracy": moving, "batch_accuracy": batch}
