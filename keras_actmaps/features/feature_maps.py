"""Feature maps: the activations of layers."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any

import keras
import numpy as np
from keras import ops, tree

from keras_actmaps import backend
from keras_actmaps.core.batching import padded_batches
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.graph import Node, run_nodes
from keras_actmaps.core.layer_types import RELU, operation_name
from keras_actmaps.core.plain_layers import KERNEL_LAYERS
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.core.validation import innermost_layer, matching_paths, validate_batch_size
from keras_actmaps.features.settings import validate_arguments

CONVOLUTIONS = tuple(layer for layer in KERNEL_LAYERS if "Dense" not in layer.__name__)
TYPES = ("conv", "relu", "pool")

Layers = Annotated[str | list[str] | tuple[str, ...] | None, "names, paths or types of layers"]


def feature_maps(model: Any, images: Any, layers: Layers = None, batch_size: int = 32) -> dict[str, Array]:
    """The activations of layers for images.

    Parameters
    ----------
    model : keras.Model, torch.nn.Module or Probe
    images : array of shape (N, H, W, C)
        Or sequences and volumes, with other spatial axes.
    layers : str, list of str or None
        Names or paths, such as "inner/conv1" in a nested model; "conv", all convolutions (as None); "relu" or "pool",
        layers that end in a ReLU or that pool; a Keras class, such as "MaxPooling2D"; or "all", those with a spatial
        output. A name takes precedence over a type.
    batch_size : int
        Maximum number of images in memory at a time.

    Returns
    -------
    dict of str to array of shape (N, h, w, K)
        float32, by the layers' paths, in the order of execution. The outputs of the model are taken before a softmax
        or sigmoid.

    Raises
    ------
    ValueError
        Before any computation, for an unknown layer or type, a layer without spatial outputs, and images that do not
        fit.
    """
    validate_batch_size(batch_size)
    traced = as_traced(model, inputs=images)
    images = traced.validate_inputs(images)
    paths = find_layers(traced, layers)
    slots = [traced.graph.slot_of[path] for path in paths]
    nodes = traced.graph.ancestors(slots)
    _validate_size(traced, nodes, images.shape)

    def features(images: Tensor) -> list[Tensor]:
        values = run_nodes(nodes, {traced.graph.inputs[0]: images})
        return [ops.cast(values[slot], "float32") for slot in slots]

    program = traced.program((feature_maps, tuple(slots)), features)
    parts = []
    for (batch,), real in padded_batches([images], min(batch_size, len(images))):
        parts.append([backend.to_numpy(tensor)[:real] for tensor in program(batch)])
    return {path: np.concatenate(part) for path, part in zip(paths, zip(*parts))}


def find_layers(traced: TracedModel, layers: Layers = None) -> list[str]:
    """The paths of layers, in the order of execution; arguments and errors as for `feature_maps`."""
    traced.require_graph()
    (layers,) = validate_arguments(find_layers, layers=layers)
    words = ["conv"] if layers is None else [layers] if isinstance(layers, str) else list(layers)
    if not words:
        raise ValueError(f"layers must not be empty; choices: {', '.join(traced.layers)}")
    found = {path for word in words for path in _matching_layers(traced, word)}
    return [path for path in traced.layers if path in found]


def is_of_type(operation: Callable | None, layer_type: str) -> bool:
    """Whether a layer or operation is a "conv", "relu" or "pool", or of a Keras class, ignoring case."""
    if layer_type == "conv":
        return isinstance(operation, CONVOLUTIONS)
    if layer_type == "relu":
        activation = getattr(operation, "activation", None)
        return any(one is not None and operation_name(one) in RELU for one in (operation, activation))
    name = type(operation).__name__.lower()
    return "pool" in name if layer_type == "pool" else name == layer_type.lower()


def _matching_layers(traced: TracedModel, word: str) -> list[str]:
    """The layers that match a name, path or type."""
    graph, spatial = traced.graph, traced.layers
    word = innermost_layer(word, spatial, graph)
    operations = {node.path: node.operation for node in graph.nodes}
    found = matching_paths(word, spatial)
    if not found:
        found = [path for path in spatial if word == "all" or is_of_type(operations[path], word)]
    with_channels = [path for path in found if graph.shapes[graph.slot_of[path]][-1] != 0]
    if with_channels:
        return with_channels
    if word in operations:
        shape = graph.shapes[graph.slot_of[word]]
        raise ValueError(
            f"layer {word!r} has outputs of shape {shape}, without channels over space; choices: {', '.join(spatial)}"
        )
    types = dict.fromkeys([*TYPES, "all", *(type(operations[path]).__name__ for path in spatial)])
    raise ValueError(f"no layer or type {word!r} in {traced.name!r}; choices: {', '.join([*spatial, *types])}")


def _validate_size(traced: TracedModel, nodes: Iterable[Node], shape: tuple[int, ...]) -> None:
    """ValueError, before any computation, for images too small for a layer of a model of any input size."""
    if None not in traced.input_shape[1:]:
        return
    values = {traced.graph.inputs[0]: keras.KerasTensor(shape)}
    for node in nodes:
        try:
            written = tree.flatten(node(values, getattr(node.operation, "compute_output_spec", None)))
        except ValueError as error:
            raise ValueError(f"images of {shape[1:]} are too small for layer {node.path!r}") from error
        values.update(zip(node.writes, written))
