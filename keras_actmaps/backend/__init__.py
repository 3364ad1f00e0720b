"""The only code that differentiates and compiles; one module per framework, chosen by Keras' backend.

- `CompiledFunction(function, variables, precision, xla)`: a function of tensors as a program, compiled once per shape;
- `gradients(function, tensors)`: gradients of summed scores;
- `vjp(function, tensors)`: outputs, and the function from cotangents of the outputs to cotangents of the tensors;
- `custom_gradient(function, backward)`: a function with a replaced gradient;
- `argmax(tensor)`: the index of the largest value along the last axis, as int32;
- `eager_scope()`: a context in which operations run at once, even while a program is traced;
- `xla_by_default()`: whether programs are compiled with XLA by default;
- `convert_module(module, shape)`: a model of the framework itself (PyTorch) as a Keras model on the same weights.
"""

import importlib
from typing import Any

import keras
import numpy as np
from keras import ops

BACKENDS = ("tensorflow", "jax", "torch")
PRECISIONS = ("float32", "tf32", "bfloat16")
FOREIGN = {"torch": "PyTorch", "tf_keras": "Keras 2", "tensorflow": "TensorFlow", "flax": "Flax", "equinox": "Equinox"}

if keras.backend.backend() not in BACKENDS:
    raise ImportError(
        f"keras_actmaps does not support the Keras backend {keras.backend.backend()!r}; set KERAS_BACKEND to one of: "
        f"{', '.join(BACKENDS)}"
    )
_framework: Any = importlib.import_module(f"keras_actmaps.backend.{keras.backend.backend()}_backend")

CompiledFunction = _framework.CompiledFunction
gradients = _framework.gradients
vjp = _framework.vjp
batched_gradients = _framework.batched_gradients
custom_gradient = _framework.custom_gradient
argmax = _framework.argmax
eager_scope = _framework.eager_scope
xla_by_default = _framework.xla_by_default
convert_module: Any = getattr(_framework, "convert_module", None)


def check_model(model: Any) -> None:
    """TypeError for anything but a Keras model or a module that the running framework can convert."""
    if isinstance(model, keras.Model) or is_torch_module(model):
        return
    if isinstance(model, keras.layers.Layer):
        raise TypeError(f"model must be a Keras model, got the layer {model.name!r}; wrap it in keras.Sequential")
    running = keras.backend.backend()
    modules = [cls.__module__.partition(".")[0] for cls in type(model).__mro__]
    home = next((module for module in modules if module in FOREIGN), None)
    if home is None:
        raise TypeError(f"model must be a Keras model or a Probe, got {type(model).__name__}")
    advice = "set KERAS_BACKEND=torch before keras is imported" if home == "torch" else "a Keras 3 model is needed"
    if "saved_model" in type(model).__module__:
        advice = "put keras.layers.TFSMLayer(path, call_endpoint='serving_default') into a keras.Sequential instead"
    raise TypeError(f"{type(model).__name__} is a {FOREIGN[home]} model, and Keras runs on {running}; {advice}")


def is_torch_module(model: Any) -> bool:
    """Whether this is a module of the running framework that `convert_module` accepts."""
    is_module = convert_module is not None and isinstance(model, _framework.Module)
    return is_module and not isinstance(model, keras.layers.Layer)


def to_numpy(tensor: Any) -> np.ndarray:
    """A tensor on any device, or any array-like value, as a NumPy array."""
    return ops.convert_to_numpy(tensor) if ops.is_tensor(tensor) else np.asarray(tensor)
