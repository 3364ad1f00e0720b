"""The `call` of a subclassed model as a Keras function."""

import keras
from keras import tree

from keras_actmaps.core._keras_compat import call_takes_training


def traced_call(model: keras.Model, args: tuple, kwargs: dict) -> keras.Function | None:
    """The `call` of a model with symbolic arguments, as a function of them; None if it cannot be traced."""
    kwargs = {**kwargs, "training": False} if call_takes_training(model) else kwargs
    symbols = [one for one in tree.flatten((args, kwargs)) if isinstance(one, keras.KerasTensor)]
    try:
        function = keras.Function(symbols, model.call(*args, **kwargs))
    except Exception:  # any error of the user's code on symbolic tensors means that it cannot be traced
        return None
    return function if _runs_as(function, model, args, kwargs) else None


def _runs_as(function: keras.Function, model: keras.Model, args: tuple, kwargs: dict) -> bool:
    """Whether a traced `call` has outputs of the model's shapes for a batch of 3.

    It has not where the code reads the batch size, unknown in the trace: `ops.reshape(x, (ops.shape(x)[0], -1))`.
    """
    symbols = function.inputs
    if any(None in symbol.shape[1:] for symbol in symbols):
        return True  # no sizes to run it with
    arrays = {id(symbol): keras.ops.zeros((3, *symbol.shape[1:]), symbol.dtype) for symbol in symbols}
    args, kwargs = tree.map_structure(lambda one: arrays.get(id(one), one), (args, kwargs))
    try:
        expected = model(*args, **kwargs)
    except Exception:  # zeros need not be valid inputs of the user's model
        return True
    try:
        found = function(list(arrays.values()))
    except Exception:  # any error of the trace that the model does not have
        return False
    return [tuple(one.shape) for one in tree.flatten(found)] == [tuple(one.shape) for one in tree.flatten(expected)]
