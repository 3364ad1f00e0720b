"""Explainer: base of the classes, and their calls of this package's engine."""

import os
from typing import Any, TypeAlias

import numpy as np
from keras import ops

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.attribution import Attribution, rows_of
from keras_actmaps.core.batching import even_batch_size, padded_batches
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.trace import trace_model
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods import explain
from keras_actmaps.tf_explain.utils.saver import save_grayscale, save_rgb

ValidationData: TypeAlias = tuple[Any, Any]  # images (N, H, W, C), and labels, which are not used
ClassIndex: TypeAlias = Any  # a class, classes (N,), or None for the predicted class
BATCH_SIZE = 32


class Explainer:
    """Base class of the explainers.

    Parameters
    ----------
    compatible : bool or None
        True returns tf-explain's results where they are well defined, False the correct ones; None is the default that
        `activate` sets, False otherwise.
    """

    compatible: bool = False

    def __init__(self, *, compatible: bool | None = None) -> None:
        if compatible is not None:
            self.compatible = compatible

    def save(self, grid: Array, output_dir: str | os.PathLike, output_name: str) -> None:
        """Write a grid into a folder, which is created if missing; OSError if that fails."""
        write = save_rgb if np.ndim(grid) == 3 else save_grayscale
        write(grid, output_dir, output_name)


def input_gradients(images: Any, model: Any, class_index: ClassIndex, method: str = "saliency") -> Tensor:
    """The attributions of a method for all channels of the images, (N, H, W, C)."""
    maps = explain.explain(model, np.asarray(images), method, targets=class_index, channels="keep").maps
    return ops.convert_to_tensor(maps)


def features_and_gradients(traced: TracedModel, images: Any, class_index: ClassIndex) -> tuple[Tensor, Tensor]:
    """The features of the traced model's layer and the gradients of the class's score at them, (N, h, w, K) each."""
    inputs = traced.validate_inputs(np.asarray(images))
    targets = traced.validate_targets(class_index, len(inputs))
    traced.require_one_layer("GradCAM")
    size = even_batch_size(BATCH_SIZE, len(inputs))
    context, parts = RunContext(BATCH_SIZE, size), []
    for (batch, rows), real in padded_batches([inputs, np.arange(len(inputs))], size):
        pair, _, _ = traced.run(_pair_at_layer, batch, rows_of(targets, rows), context=context)
        parts.append([to_numpy(tensor)[:real] for tensor in pair])
    features, gradients = (ops.convert_to_tensor(np.concatenate(part)) for part in zip(*parts))
    return features, gradients


def trace_with_output_activation(model: Any, layer: Any = None) -> TracedModel:
    """A traced model whose scores are the model's outputs: probabilities if it ends in a softmax."""
    traced = TracedModel(model, layer)
    traced.graph = trace_model(model)
    return traced


def _pair_at_layer(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """A function for `TracedModel.run` whose values are features and gradients."""
    return traced.map_at_layer(inputs, targets, lambda features, gradients: (features, gradients))
