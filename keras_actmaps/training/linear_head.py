"""A linear classifier on the frozen features of a backbone."""

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_actmaps.core.types import Array
from keras_actmaps.training.protocols import Protocol, compile_model

if TYPE_CHECKING:
    from keras_actmaps.data import Data

PENALTY = 1e-2  # L2, of the linear layer; chosen on the validation split of pets


def fit_head(model: keras.Model, data: "Data", protocol: Protocol) -> dict[str, float]:
    """Fit the layer `logits` on the pooled features of the images and of their mirror images, computed once.

    It is fitted to standardized features with an L2 penalty; the standardization is then folded into its weights.

    Parameters
    ----------
    model : keras.Model
        A backbone with layers `pool` and `logits`, which is changed.
    data : Data
    protocol : Protocol

    Returns
    -------
    dict
        The logs of the last epoch.
    """
    pooled = keras.Model(model.inputs, model.get_layer("pool").output)
    train = _features(pooled, data.truth("train")), _features(pooled, data.truth("train"), mirrored=True)
    features, labels = (np.concatenate(part) for part in zip(*train))
    held_out, held_out_labels = _features(pooled, data.truth("validation"))
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    penalty = keras.regularizers.L2(PENALTY)
    layer = keras.layers.Dense(len(data.info.classes), kernel_regularizer=penalty)
    head = keras.Sequential([keras.Input(mean.shape), layer])
    compile_model(head, protocol, len(features))
    validation = (held_out - mean) / deviation, held_out_labels
    standardized = (features - mean) / deviation
    fitted = head.fit(standardized, labels, protocol.batch_size, protocol.epochs, verbose=0, validation_data=validation)
    kernel, bias = layer.get_weights()
    kernel = kernel / deviation[:, None]
    model.get_layer("logits").set_weights([kernel, bias - mean @ kernel])
    return {name: values[-1] for name, values in fitted.history.items()}


def _features(pooled: keras.Model, batches: Any, mirrored: bool = False) -> tuple[Array, Array]:
    """Pooled features (N, C) and labels (N,) of batches of (images, labels, truth)."""
    features, all_labels = [], []
    for images, labels, _ in batches.prefetch(2).as_numpy_iterator():
        features.append(pooled.predict_on_batch(images[:, :, ::-1] if mirrored else images))
        all_labels.append(labels)
    return np.concatenate(features), np.concatenate(all_labels)
