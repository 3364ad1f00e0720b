"""The cache of traced models: one for each model, layer, precision and shape, as long as the model lives."""

import threading
import weakref
from typing import Any

from keras_actmaps import backend
from keras_actmaps.core.model_state import model_state
from keras_actmaps.core.predict_function import PredictFunction, is_predict_function
from keras_actmaps.core.settings import freeze
from keras_actmaps.core.several_inputs import example_shapes, has_several_inputs, shape_of
from keras_actmaps.core.tokens import may_read_tokens
from keras_actmaps.core.traced_model import TracedModel

_cache: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_lock = threading.Lock()
MAX_PER_MODEL = 16  # layers, precisions and shapes of one model


def as_traced(
    model: Any, layer: Any = None, precision: str | None = None, inputs: Any = None, xla: bool | None = None
) -> TracedModel:
    """The TracedModel itself, or a cached one of the model.

    A model whose layers, activations or variables have been replaced since, for example by `enable_lora` or `quantize`,
    is traced again.

    Parameters
    ----------
    model : keras.Model, torch.nn.Module, TracedModel, or a function from inputs to scores
    layer, precision, xla
        As for `TracedModel`; None keeps the value of a TracedModel.
    inputs : array, list or dict of arrays, or None
        The inputs to explain; a `torch.nn.Module` and a model with several inputs are traced for their shapes.

    Returns
    -------
    TracedModel

    Raises
    ------
    ValueError
        For a layer, precision or xla that differs from that of a TracedModel, and as `TracedModel` does.
    """
    if isinstance(model, TracedModel):
        for name, value in (("layer", layer), ("precision", precision), ("xla", xla)):
            if value is not None and value != getattr(model, name):
                raise ValueError(
                    f"{name}={value!r}, but the Probe was made for {name}={getattr(model, name)!r}; make another Probe"
                )
        replaced = model.replaced_source()
        return model if replaced is None else _cached(*replaced)
    if is_predict_function(model):
        return _of_function(model, layer, inputs)
    backend.check_model(model)
    shape: Any = shape_of(inputs)[1:] if backend.is_torch_module(model) else None
    if inputs is not None and (has_several_inputs(model) or may_read_tokens(model)):
        shape = example_shapes(model, inputs)
    return _cached(model, layer, shape, precision or "float32", xla)


def _of_function(function: Any, layer: Any, inputs: Any) -> TracedModel:
    """A plain function in the place of a model; ValueError for a layer and without inputs."""
    if layer is not None:
        raise ValueError(f"layer={layer!r}, but a function of inputs has no layers")
    if inputs is None:
        raise ValueError("pass inputs: the shape that a function takes is not known without them")
    return PredictFunction(function, inputs)


def _cached(
    model: Any, layer: Any, shape: Any, precision: str, xla: bool | None, grid: Any = None, prefix: Any = None
) -> TracedModel:
    """The traced model of these arguments, traced again only if the model has changed."""
    state = model_state(model)
    key = freeze(
        (layer, precision, shape, xla, grid, prefix)
    )  # of any type, so that TracedModel itself raises for invalid values
    with _lock:
        cached = _cache.setdefault(model, {})
        if key not in cached or cached[key][0] != state:
            traced = TracedModel(model, layer, shape, precision, xla, grid, prefix).release()
            if len(cached) >= MAX_PER_MODEL:
                cached.pop(next(iter(cached)))
            cached[key] = state, traced
        return cached[key][1]
