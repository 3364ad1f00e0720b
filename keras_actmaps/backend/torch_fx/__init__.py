"""A torch.nn.Module as a Keras model, channels last, that computes on the module's parameters of the moment.

torch.fx traces the module (`trace`). Layers with a kernel, batch normalisation, pooling to one place, flattening
and dropout become Keras' layers (`builders`); all else is torch itself, under Keras' name for it (`words`).
A tensor with as many axes as the images is stored channels last, other tensors as torch has them.
"""

import inspect
import warnings

import keras
import torch
from keras import ops, tree

from keras_actmaps.backend.torch_fx.graph import Translation
from keras_actmaps.backend.torch_fx.layers import TorchOperation, images_of, renamed_class, stored, symbol
from keras_actmaps.backend.torch_fx.trace import at_inference, plain, traced

TOLERANCE = 1e-3  # of the largest output, by which what was traced may miss the module


def convert_module(module: torch.nn.Module, shape: tuple | None) -> keras.Model:
    """The Keras model of a module for images of `shape`, (C,H,W).

    `containers` names the layer that gives the last output of each of its modules. Where torch.fx cannot trace the
    module, it is one layer, `is_opaque`, and a warning says why. ValueError, in one line, for what takes several inputs
    or other images, or does not give tensors.
    """
    name, rank = type(module).__name__, 1 + len(shape or ())
    twin = at_inference(_checked(module, shape))
    images = ops.convert_to_tensor(torch.rand((2, *shape), generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        expected = _tried(twin, images, name)
        try:
            trace = traced(twin, images)
        except Exception as error:  # whatever the user's code raises when given a proxy means: it cannot be traced
            return _one_step(twin, name, shape, expected, _line(error))
        model = Translation(trace, rank).model(name, shape)
        found = tree.flatten(model(stored(images, rank)))
    wanted = [stored(part, rank) for part in tree.flatten(expected)]
    if all(torch.allclose(a, b, rtol=0, atol=TOLERANCE * float(b.abs().max())) for a, b in zip(found, wanted)):
        return model
    return _one_step(twin, name, shape, expected, "what torch.fx sees of it gives other outputs")


def _checked(module: torch.nn.Module, shape: tuple | None) -> torch.nn.Module:
    """The module to be traced; ValueError for one that cannot be asked."""
    name = type(module).__name__
    if not shape:
        raise ValueError(f"{name} does not say how large its images are; give the shape of one: "
                         "Probe(module, shape=(3, 224, 224))")  # fmt: skip
    if isinstance(module, torch.jit.ScriptModule):
        raise ValueError(f"{name} is compiled by torch.jit; give the module that it was made from")
    module = getattr(module, "_orig_mod", module)  # what torch.compile was given
    parameters = inspect.signature(module.forward).parameters.values()
    needed = [one.name for one in parameters if one.default is one.empty and one.kind < one.VAR_POSITIONAL]
    if len(needed) > 1:
        raise ValueError(f"{name} takes {len(needed)} inputs, {', '.join(needed)}; only models of one input can be "
                         "explained")  # fmt: skip
    return module


def _tried(twin: torch.nn.Module, images, name: str):
    """The module's own outputs; ValueError where it does not take the images or gives anything but tensors."""
    try:
        outputs = plain(at_inference(twin, is_placed=True)(images.clone()))
    except Exception as error:  # the user's code
        shape = ", ".join(map(str, images.shape[1:]))
        raise ValueError(
            f"{name} does not take images (N, {shape}), which it reads as (N, C, ...): {_line(error)}"
        ) from error
    wrong = next((part for part in tree.flatten(outputs) if not isinstance(part, torch.Tensor)), images)
    if wrong is not images:
        raise ValueError(f"{name} gives {type(wrong).__name__}, which is no tensor; put it into a module that returns "
                         "one tensor")  # fmt: skip
    return outputs


def _one_step(twin: torch.nn.Module, name: str, shape: tuple, outputs, reason: str) -> keras.Model:
    """The module as a single layer."""
    warnings.warn(f"{name} is explained without a look at its layers: {reason}", stacklevel=4)
    rank, images = len(shape) + 1, images_of(shape)
    call = renamed_class(name, TorchOperation)(
        name,
        lambda images: plain(at_inference(twin, is_placed=True)(images.clone())),
        (rank > 2,),
        tree.map_structure(lambda part: symbol(stored(part, rank).shape), outputs),
        lambda part: stored(part, rank),
    )
    model = keras.Model(images, call(images), name=name)
    model.is_opaque = True
    return model


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
