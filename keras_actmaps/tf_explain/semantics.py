"""What the classes share: the right results or the old ones, and what is asked of the engine."""

import numpy as np
from keras import ops

from keras_actmaps.core.batching import even_batch_size
from keras_actmaps.core.trace import trace_model
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.methods import explain, registry
from keras_actmaps.tf_explain.utils.saver import save_grayscale, save_rgb


class Explainer:
    """compatible: True gives tf-explain's old results, where they are well defined; None is as `activate` says."""

    compatible = False

    def __init__(self, *, compatible: bool | None = None):
        if compatible is not None:
            self.compatible = compatible

    def save(self, grid, output_dir, output_name) -> None:
        """Write the grid to a folder, which is made where it is missing; OSError where that fails."""
        write = save_rgb if np.ndim(grid) == 3 else save_grayscale
        write(grid, output_dir, output_name)


def input_gradients(images, model, class_index, method: str = "saliency"):
    """The attributions of a method at all channels of the images, as a tensor (N,H,W,C)."""
    maps = explain.explain(model, np.asarray(images), method, targets=class_index, channels="keep").maps
    return ops.convert_to_tensor(maps)


def at_layer(probe: TracedModel, images, class_index) -> tuple:
    """The features of the probe's layer and the gradients of the class's score at them, tensors (N,h,w,K) each."""
    images = probe.validate_inputs(np.asarray(images))
    targets = probe.validate_targets(class_index, len(images))
    registry.probe.require_one_layer("GradCAM")
    sized = probe.sized(32, even_batch_size(32, len(images)))
    parts = registry.sampled(sized, images, targets, 1, lambda batch, _: batch, _features_and_gradients)
    pairs = np.concatenate([pair for _, _, pair, _ in parts])
    return ops.convert_to_tensor(pairs[:, 0]), ops.convert_to_tensor(pairs[:, 1])


def with_softmax(model, layer=None) -> TracedModel:
    """The model to be asked for the scores that it gives, probabilities where it ends in a softmax."""
    probe = TracedModel(model, layer)
    probe.graph = trace_model(model)
    return probe


def _features_and_gradients(probe, images, targets):
    """A program of pairs (N,2,h,w,K)."""
    return probe.at_layer(images, targets, lambda *pair: ops.stack(pair, axis=1))
