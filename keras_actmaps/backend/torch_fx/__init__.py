"""PyTorch modules as Keras models that compute with the module's current parameters.

torch.fx traces the module (`trace`). Layers with a kernel, batch normalization, global pooling, flattening and dropout
become Keras layers (`converters`, `layers`); everything else is computed by PyTorch, as operations under Keras' names
(`names`). A tensor with as many axes as the images is stored channels last, others as PyTorch has them (`graph`).
"""

import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch
from keras import ops, tree

from keras_actmaps.backend.torch_fx.attention import unfused
from keras_actmaps.backend.torch_fx.graph import GraphConverter
from keras_actmaps.backend.torch_fx.layers import (
    TorchOperation,
    keras_input,
    renamed_class,
    symbolic_tensor,
    to_keras_layout,
)
from keras_actmaps.backend.torch_fx.trace import inference_copy, map_outputs, trace_module

TOLERANCE = 1e-3  # largest difference between the outputs of graph and module, relative to the largest output


def convert_module(module: torch.nn.Module, shape: Sequence[int] | None) -> Any:
    """The Keras model of a PyTorch module.

    Parameters
    ----------
    module : torch.nn.Module
        With one input. It is not changed; the model reads its parameters at every call.
    shape : tuple of int
        Shape of one input, such as (C, H, W).

    Returns
    -------
    keras.Model
        Takes channels-last images. `containers` maps the path of each module that contains others to the layer of its
        last output. A module that torch.fx cannot trace becomes one operation, with a warning that states the reason
        and `is_opaque` set.

    Raises
    ------
    ValueError
        For a module with several inputs, compiled by torch.jit, or that fails on these images or returns anything but
        tensors; and where the shape is missing.
    """
    if not shape:
        raise ValueError(
            f"the shape of one input of {type(module).__name__} is needed, as in Probe(module, shape=(3, 224, 224))"
        )
    name, rank = type(module).__name__, 1 + len(shape)
    copy = inference_copy(_validate(module))
    images = ops.convert_to_tensor(torch.rand((2, *shape), generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        expected = _module_outputs(copy, images, name)
        reason = ""
        for in_steps in (True, False):
            try:
                trace = trace_module(unfused(inference_copy(module)) if in_steps else copy, images, in_steps)
            except Exception as error:  # the user's code may raise anything where torch.fx cannot trace it
                reason = _first_line(error)
                continue
            model = GraphConverter(trace, rank).convert(name, shape)
            found = tree.flatten(model(to_keras_layout(images, rank)))
            if all(_is_close(a, to_keras_layout(b, rank)) for a, b in zip(found, tree.flatten(expected))):
                return model
            reason = "the graph traced by torch.fx gives other outputs than the module"
    return _opaque_model(copy, name, shape, expected, reason)


def _validate(module: torch.nn.Module) -> torch.nn.Module:
    """The module to be traced; ValueError for one that cannot be explained."""
    name = type(module).__name__
    if isinstance(module, torch.jit.ScriptModule):
        raise ValueError(f"{name} is compiled by torch.jit; pass the module that was compiled")
    module = getattr(module, "_orig_mod", module)  # the original of a module compiled by torch.compile
    parameters = inspect.signature(module.forward).parameters.values()
    required = [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.kind < parameter.VAR_POSITIONAL
    ]
    if len(required) > 1:
        raise ValueError(
            f"{name} has {len(required)} inputs, {', '.join(required)}; only models with one input can be explained"
        )
    return module


def _module_outputs(copy: torch.nn.Module, images: torch.Tensor, name: str) -> Any:
    """The module's own outputs; ValueError if it fails on the images or returns anything but tensors."""
    try:
        outputs = _call_module(copy)(images)
    except Exception as error:  # of the user's code
        shape = ", ".join(map(str, images.shape[1:]))
        raise ValueError(f"{name} fails on inputs (N, {shape}), read as (N, C, ...): {_first_line(error)}") from error
    others = [type(output).__name__ for output in tree.flatten(outputs) if not isinstance(output, torch.Tensor)]
    if others:
        raise ValueError(f"{name} returns {others[0]}, which is not a tensor; wrap it in a module that returns tensors")
    return outputs


def _call_module(copy: torch.nn.Module) -> Callable[[torch.Tensor], Any]:
    """The module as a function that neither changes its input nor tracks gradients of its parameters."""
    return lambda images: map_outputs(inference_copy(copy, with_values=True)(images.clone()))


def _opaque_model(copy: torch.nn.Module, name: str, shape: Sequence[int], outputs: Any, reason: str) -> Any:
    """The module as a single operation, with a warning."""
    warnings.warn(f"{name} is explained as a single operation, without its layers: {reason}", stacklevel=4)
    rank, images = len(shape) + 1, keras_input(shape)
    operation = renamed_class(name, TorchOperation)(
        name,
        _call_module(copy),
        (rank > 2,),
        tree.map_structure(lambda output: symbolic_tensor(to_keras_layout(output, rank).shape), outputs),
        lambda output: to_keras_layout(output, rank),
    )
    model: Any = keras.Model(images, operation(images), name=name)
    model.is_opaque = True
    return model


def _is_close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return torch.allclose(found, expected, rtol=0, atol=TOLERANCE * float(expected.abs().max()))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
