"""Sanity checks (Adebayo et al. 2018): a map that explains a model must change with the model.

`parameter_randomisation` is the first. The second, label randomisation, trains, so it is a recipe: train the same
network on permuted labels until it fits the images by heart, and compare the two networks' maps.

    labels = np.random.default_rng(0).permutation(training_labels)
    other = build_model()                       # the same layers, new weights
    other.fit(training_images, labels, ...)     # until nearly all of these labels are given
    maps = kam.explain(model, images, "gradcam", targets=targets)
    others = kam.explain(other, images, "gradcam", targets=targets)
    kam.metrics.spearman(maps, others).mean()   # near 0 for a method that passes

A method whose maps stay alike draws the image, not what was learnt. Compare on training images, which both networks
know, and with the same targets.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops
from keras.src.models.functional import Functional

from keras_actmaps import backend
from keras_actmaps.core._keras_compat import shallow_copy
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.methods.explain import explain
from keras_actmaps.metrics.agreement import spearman, ssim

WEIGHTS = ("normal", "permuted")


@dataclass(frozen=True, eq=False)
class Randomisation:
    """How alike maps stay to those of the trained model.

    layers: paths (L,), in the order in which they were randomised, the top first; with `cascading`, all above are
    randomised too. ssim, spearman: (L,N). before: the trained model's maps.
    """

    layers: tuple[str, ...]
    ssim: np.ndarray
    spearman: np.ndarray
    before: Explanation
    cascading: bool
    absolute: bool


def parameter_randomisation(
    model,
    images,
    method: str = "gradcam",
    targets=None,
    layer=None,
    *,
    cascading: bool = True,
    absolute: bool = False,
    weights: str = "normal",
    seed: int = 0,
    batch_size: int = 32,
    **settings,
) -> Randomisation:
    """How alike a method's maps stay when layers lose what they have learnt (Adebayo et al. 2018, section 3).

    On a copy of the model with the trained weights, layer by layer from the top: the layer's weights are drawn anew
    and the same targets explained again.

    model: a Keras model or a `torch.nn.Module`, which is not changed; no TracedModel, of which there is no copy.
    images, method, targets, layer, batch_size, settings: as for `explain`; images of 11 pixels or more a side.
    cascading: True leaves a layer randomised when it goes on to the next; False gives it its weights back.
    absolute: compare magnitudes, for maps that may turn over as a whole. Where a map is a product with the image, as of
        integrated gradients and LRP, these are 0 wherever the image is, and so alike whatever the model: on images with
        a black background compare it with its signs.
    weights: "normal" draws kernels as before training, around 0, with the standard deviation that they have now, so
        that features neither vanish nor explode, and permutes the values of what has one axis (biases, normalisation);
        "permuted" permutes all. Kernels whose mean is below 0 keep it then, and deconvnet's maps can vanish.
    seed: of the draws.

    Returns a Randomisation with `ssim` and `spearman`, see `agreement`. Cost: L + 1 explanations of the images.
    """
    if weights not in WEIGHTS:
        raise ValueError(f"no weights={weights!r}; there are: {', '.join(WEIGHTS)}")
    if isinstance(model, TracedModel):
        raise ValueError("parameter_randomisation works on a copy of the model, which a TracedModel has not; give the model")
    backend.check_model(model)
    images = backend.to_numpy(images)
    own = _copied(model, images)
    probe = TracedModel(own, layer, images.shape[1:] if backend.is_torch_module(own) else None)
    before = explain(probe, images, method, targets, batch_size=batch_size, **settings)
    asked = targets if callable(targets) else before.targets
    random, found = np.random.default_rng(seed), []
    layers = list(_layers(own, probe))
    for _, tensors in layers:
        trained = [backend.to_numpy(tensor).copy() for tensor in tensors]
        for tensor, values in zip(tensors, trained):
            _write(tensor, _drawn(values, random, weights))
        after = explain(probe, images, method, asked, batch_size=batch_size, **settings)
        found.append([measure(before, after, absolute=absolute) for measure in (ssim, spearman)])
        if not cascading:
            for tensor, values in zip(tensors, trained):
                _write(tensor, values)
    paths = tuple(path for path, _ in layers)
    return Randomisation(paths, *np.moveaxis(found, 1, 0), before, cascading, absolute)


def _drawn(values: np.ndarray, random: np.random.Generator, weights: str) -> np.ndarray:
    """An array of a layer's weights without what it has learnt."""
    if weights == "normal" and values.ndim > 1:
        return random.normal(0, values.std(), values.shape)
    return random.permutation(values.ravel()).reshape(values.shape)


def _copied(model, images):
    """A copy of a model with its weights, which Keras' clone_model leaves behind. ValueError where there is none."""
    if backend.is_torch_module(model):
        return copy.deepcopy(model)
    try:
        if isinstance(model, (keras.Sequential, Functional)):
            own = keras.models.clone_model(model, clone_function=_anew, recursive=True)
        else:
            own = type(model).from_config(model.get_config())
        own(ops.convert_to_tensor(images[:1]))
        own.set_weights(model.get_weights())
    except Exception as error:  # whatever the user's classes raise when they are made anew
        reason = " ".join(str(error).split())[:160]
        raise ValueError(f"{type(model).__name__} cannot be copied: {reason}; give it get_config()") from error
    return own


def _anew(layer):
    """A layer with weights of its own; one that has none as it is, with the function that it may hold."""
    if layer.weights:
        return type(layer).from_config(layer.get_config())
    return shallow_copy(layer, _inbound_nodes=[], _outbound_nodes=[])


def _layers(model, probe: TracedModel) -> Iterator[tuple[str, list]]:
    """The path and the weights of each layer that has any, each once, the top first."""
    if backend.is_torch_module(model):
        parts = [(name, [*part.parameters(recurse=False), *part.buffers(recurse=False)])
                 for name, part in model.named_modules()]  # fmt: skip
    elif probe.graph.is_opaque:
        parts = [(part.name, part.weights) for part in backend.sublayers(model) if len(list(part._flatten_layers())) == 1]
    else:
        parts = [(step.path, getattr(step.operation, "weights", [])) for step in probe.graph.nodes]
    seen = set()
    for path, tensors in reversed(parts):
        new = [tensor for tensor in tensors if id(tensor) not in seen]
        seen.update(map(id, new))
        if new:
            yield path, new


def _write(tensor, values: np.ndarray) -> None:
    """Give a Keras variable, or a tensor of a module, other values."""
    if isinstance(tensor, keras.Variable):
        tensor.assign(values)
    else:
        tensor.data.copy_(ops.convert_to_tensor(values))
