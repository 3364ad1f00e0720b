"""Sanity checks (Adebayo et al. 2018): a map that explains a model must change with the model.

`parameter_randomisation` is the first of the paper. The second, label randomization, trains a model, so it is a recipe:
train the same network on permuted labels until it fits the images, and compare the maps of the two networks.

    labels = np.random.default_rng(0).permutation(training_labels)
    other = build_model()                       # the same layers, new weights
    other.fit(training_images, labels, ...)     # until it predicts nearly all of these labels
    maps = kam.explain(model, images, "gradcam", targets=targets)
    others = kam.explain(other, images, "gradcam", targets=targets)
    kam.metrics.spearman(maps, others).mean()   # near 0 for a method that passes

A method whose maps stay similar shows the image rather than what the model has learned. Compare on training images and
with the same targets.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import keras
import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core._keras_compat import Functional, all_layers, detached_copy
from keras_actmaps.core.attribution import Target
from keras_actmaps.core.batching import even_batch_size
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Seed
from keras_actmaps.core.settle import settle
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods.explain import explain
from keras_actmaps.methods.registry import find_method
from keras_actmaps.metrics.agreement import spearman, ssim
from keras_actmaps.metrics.registry import Absolute, BatchSize, validated

Weights = Annotated[Literal["normal", "permuted"], "how the weights of a layer are drawn"]


@dataclass(frozen=True, eq=False)
class Randomisation:
    """Similarity of the maps of a randomized model to those of the trained model.

    Attributes
    ----------
    layers : tuple of str
        Paths (L,) in the order in which the layers were randomized, the top first.
    ssim, spearman : float64 array of shape (L, N)
        Similarity of each image's map to the trained model's, see `agreement`.
    before : Explanation
        Of the trained model.
    cascading, absolute : bool
        As passed; if `cascading`, all layers above are randomized too.
    """

    layers: tuple[str, ...]
    ssim: Array
    spearman: Array
    before: Explanation
    cascading: bool
    absolute: bool


@validated
def parameter_randomisation(
    model: Any,
    images: Any,
    method: str = "gradcam",
    targets: Any = None,
    layer: Any = None,
    *,
    cascading: Annotated[bool, "leave a layer randomized when the next one is"] = True,
    absolute: Absolute = False,
    weights: Weights = "normal",
    seed: Seed = 0,
    batch_size: BatchSize = 32,
    **settings: Any,
) -> Randomisation:
    """Similarity of a method's maps before and after the layers are randomized (Adebayo et al. 2018, section 3).

    On a copy of the trained model, layer by layer from the top, the layer's weights are randomized and the same targets
    explained again.

    Parameters
    ----------
    model : keras.Model or torch.nn.Module
        Is not changed. Not a Probe, which cannot be copied.
    images, method, targets, layer, batch_size, **settings
        As for `explain`; images of 11 pixels or more along each axis.
    cascading : bool
        True leaves a layer randomized when the next one is; False restores its weights.
    absolute : bool
        Compare magnitudes, for maps that may change their sign as a whole. Maps that are products with the
        image, such as those of integrated gradients and LRP, are 0 at black pixels for any model: compare signed maps
        of images with a black background.
    weights : {"normal", "permuted"}
        "normal" draws kernels from a normal distribution with mean 0 and their current standard deviation, so that
        features neither vanish nor explode, and permutes arrays with one axis (biases, normalization). "permuted"
        permutes all arrays, which keeps negative means of kernels, so that maps of deconvnet can vanish.
    seed : int
        Of the draws.

    Returns
    -------
    Randomisation

    Raises
    ------
    ValueError
        For a model that cannot be copied, and as `explain` does.

    Notes
    -----
    Costs an explanation of the images for each layer, and one more.
    """
    if isinstance(model, TracedModel):
        raise ValueError(
            "parameter_randomisation works on a copy of the model, and a Probe cannot be copied; pass the model"
        )
    backend.check_model(model)
    images = backend.to_numpy(images)
    own = _copy_of(model, images)
    traced = TracedModel(own, layer, images.shape[1:] if backend.is_torch_module(own) else None)
    targets = _settled(traced, images, find_method(method).target_of(targets), batch_size)
    before = explain(traced, images, method, targets, batch_size=batch_size, **settings)
    fixed_targets = targets if callable(targets) else before.targets
    generator, found = np.random.default_rng(seed), []
    layers = list(_layers_from_top(own, traced))
    for _, tensors in layers:
        trained = [backend.to_numpy(tensor).copy() for tensor in tensors]
        for tensor, values in zip(tensors, trained):
            _assign(tensor, _draw(values, generator, weights))
        after = explain(traced, images, method, fixed_targets, batch_size=batch_size, **settings)
        found.append([measure(before, after, absolute=absolute) for measure in (ssim, spearman)])
        if not cascading:
            for tensor, values in zip(tensors, trained):
                _assign(tensor, values)
    similarities = np.array(found).reshape(len(layers), 2, -1)
    return Randomisation(
        layers=tuple(path for path, _ in layers),
        ssim=similarities[:, 0],
        spearman=similarities[:, 1],
        before=before,
        cascading=cascading,
        absolute=absolute,
    )


def _draw(values: Array, generator: np.random.Generator, weights: str) -> Array:
    """A randomized array of a layer's weights."""
    if weights == "normal" and values.ndim > 1:
        return generator.normal(0, values.std(), values.shape)
    return generator.permutation(values.ravel()).reshape(values.shape)


def _copy_of(model: Any, images: Array) -> Any:
    """A copy of a model including its weights, unlike Keras' clone_model; ValueError if it cannot be copied."""
    if backend.is_torch_module(model):
        return copy.deepcopy(model)
    try:
        if isinstance(model, (keras.Sequential, Functional)):
            own = keras.models.clone_model(model, clone_function=_clone_layer, recursive=True)
        else:
            own = type(model).from_config(model.get_config())
        own(ops.convert_to_tensor(images[:1]))
        own.set_weights(model.get_weights())
    except Exception as error:  # user-defined classes may raise any error when they are constructed
        reason = " ".join(str(error).split())[:160]
        raise ValueError(f"{type(model).__name__} cannot be copied: {reason}; define get_config()") from error
    return own


def _clone_layer(layer: Any) -> Any:
    """A copy of a layer with new weights; a layer without weights shares its contents, such as a function."""
    return type(layer).from_config(layer.get_config()) if layer.weights else detached_copy(layer)


def _settled(traced: TracedModel, images: Array, targets: Any, batch_size: int) -> Any:
    """The targets fixed to the predictions of the trained model."""
    if not isinstance(targets, Target):
        return targets
    inputs = traced.validate_inputs(images)
    bound = traced.validate_targets(targets, len(inputs))
    return settle(traced, inputs, bound, RunContext(batch_size, even_batch_size(batch_size, len(inputs))))


def _layers_from_top(model: Any, traced: TracedModel) -> Iterator[tuple[str, list[Any]]]:
    """The path and the weights of each layer with weights, each once, from the top down."""
    parts: list[tuple[str, list[Any]]]
    if backend.is_torch_module(model):
        parts = [
            (name, [*part.parameters(recurse=False), *part.buffers(recurse=False)])
            for name, part in model.named_modules()
        ]
    elif traced.graph.is_opaque:
        parts = [(part.name, part.weights) for part in all_layers(model) if len(all_layers(part)) == 1]
    else:
        parts = [(node.path, getattr(node.operation, "weights", [])) for node in traced.graph.nodes]
    seen: set[int] = set()
    for path, tensors in reversed(parts):
        new = [tensor for tensor in tensors if id(tensor) not in seen]
        seen.update(map(id, new))
        if new:
            yield path, new


def _assign(tensor: Tensor, values: Array) -> None:
    """Assign values to a Keras variable, or to a tensor of a PyTorch module."""
    if isinstance(tensor, keras.Variable):
        tensor.assign(values)
    else:
        tensor.data.copy_(ops.convert_to_tensor(values))
