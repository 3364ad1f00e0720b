"""Layers that are random: those called in training mode, and custom ones that are random at inference too."""

from typing import Any

import keras
import numpy as np
from keras import layers, tree

from keras_actmaps import backend
from keras_actmaps.core._keras_compat import SymbolicArguments, all_layers, takes_training, trains_by_default
from keras_actmaps.core.graph import Node
from keras_actmaps.core.plain_layers import OWN_MODULES


def trains(operation: Any, arguments: SymbolicArguments) -> bool:
    """Whether a layer or model is called with `training=True` and computes something else than at inference.

    Not where this is the default of the layer, as in augmentation.
    """
    training = arguments.kwargs.get("training")
    if not isinstance(training, (bool, int, np.bool_)) or not training:
        return False
    if not isinstance(operation, keras.Model):
        return takes_training(operation) and not trains_by_default(operation)
    return any(
        isinstance(layer, layers.BatchNormalization) or hasattr(layer, "seed_generator")
        for layer in all_layers(operation)[1:]
    )


def is_random(node: Node) -> bool:
    """Whether two calls of a custom layer with a random generator return different values at inference."""
    operation = node.operation
    parts = all_layers(operation) if isinstance(operation, layers.Layer) else []
    if all(type(part).call.__module__.startswith(OWN_MODULES) for part in parts):
        return False
    generators = [value for part in parts for value in vars(part).values()]
    if not any(isinstance(value, keras.random.SeedGenerator) for value in generators):
        return False
    random = np.random.default_rng(0)
    values = {
        node.reads[id(symbol)]: keras.ops.cast(
            random.uniform(0.5, 1, [3 if side is None else side for side in symbol.shape]), symbol.dtype
        )
        for symbol in node.arguments.keras_tensors
    }
    try:
        with backend.eager_scope():
            first, second = (list(map(backend.to_numpy, tree.flatten(node(values)))) for _ in range(2))
    except Exception:  # any error of the user's code on random values means that this cannot be tested
        return False
    return not all(np.array_equal(*pair) for pair in zip(first, second))
