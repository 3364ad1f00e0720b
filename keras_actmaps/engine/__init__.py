"""The only rooms that differentiate, compile and batch; one file a framework, chosen by Keras' backend.

- `compiled(function, variables, precision, xla)`: a function of tensors as a program, traced once for each shape;
- `gradients(function, tensors)`: the gradients of summed scores;
- `pullback(function, tensors)`: outputs, and what turns cotangents at these into cotangents at the tensors;
- `with_backward(function, backward)`: a function with another gradient;
- `xla_is_default()`: whether programs are compiled with XLA unless told otherwise;
- `adopted(module, shape)`: a model of the framework's own (PyTorch) as a Keras model on the same weights.
"""

import importlib

import keras
import numpy as np
from keras import ops

BACKENDS = ("tensorflow", "jax", "torch")
PRECISIONS = ("float32", "tf32", "bfloat16")
MODELS = {"torch": "PyTorch", "tf_keras": "Keras 2", "tensorflow": "TensorFlow", "flax": "Flax", "equinox": "Equinox"}

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
xla_is_default = _framework.xla_is_default
adopted = getattr(_framework, "adopted", None)


def check_model(model) -> None:
    """TypeError for what is neither a Keras model nor one that the running framework can adopt."""
    if isinstance(model, keras.Model) or is_module(model):
        return
    running = keras.backend.backend()
    homes = [cls.__module__.partition(".")[0] for cls in type(model).__mro__]
    home = next((home for home in homes if home in MODELS), None)
    if home is None:
        raise TypeError(f"a Keras model or a Probe is needed, not {type(model).__name__}")
    mend = "; set KERAS_BACKEND=torch before keras is imported" if home == "torch" else "; a Keras 3 model is needed"
    raise TypeError(f"{type(model).__name__} is a model of {MODELS[home]}, and Keras runs on {running}{mend}")


def is_module(model) -> bool:
    """A model of the running framework's own, which `adopted` takes."""
    return adopted is not None and isinstance(model, _framework.Module) and not isinstance(model, keras.Model)


def parts(model) -> list:
    """The model and all layers or modules in it."""
    return list(model._flatten_layers() if isinstance(model, keras.Model) else model.modules())


def to_numpy(tensor) -> np.ndarray:
    """A tensor of any device, or anything that NumPy takes, as an array."""
    return ops.convert_to_numpy(tensor) if ops.is_tensor(tensor) else np.asarray(tensor)


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
