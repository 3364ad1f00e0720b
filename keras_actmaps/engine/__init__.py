"""The only rooms that differentiate, compile and batch; one file a framework, chosen by Keras' backend."""

import importlib

import keras
import numpy as np

BACKENDS = ("tensorflow",)

if keras.backend.backend() not in BACKENDS:
    raise ImportError(
        f"keras_actmaps has no engine for the Keras backend {keras.backend.backend()!r}; set KERAS_BACKEND to one of: "
        f"{', '.join(BACKENDS)}"
    )
_framework = importlib.import_module(f"keras_actmaps.engine.{keras.backend.backend()}")

compiled = _framework.compiled
gradients = _framework.gradients
pullback = _framework.pullback
with_backward = _framework.with_backward


def batches(arrays, size: int):
    """(arrays of `size` rows, how many of them are real): the last batch is padded with its last row.

    One shape only, so that one program is compiled.
    """
    for start in range(0, len(arrays[0]), size):
        part = [np.asarray(array[start : start + size]) for array in arrays]
        real = len(part[0])
        if real < size:
            part = [np.concatenate([array, np.repeat(array[-1:], size - real, axis=0)]) for array in part]
        yield part, real
