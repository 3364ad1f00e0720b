"""What layers make of images: their feature maps, and these before and after pooling."""

import keras
import numpy as np
from keras import ops, tree

from keras_actmaps import backend
from keras_actmaps.core.batching import padded_batches
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.graph import run_nodes
from keras_actmaps.core.layer_types import RELU, operation_name
from keras_actmaps.core.rewrite import KERNEL_LAYERS
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.validation import innermost_layer, matching_paths

CONVOLUTIONS = tuple(layer for layer in KERNEL_LAYERS if layer is not keras.layers.Dense)
KINDS = ("conv", "relu", "pool")


def feature_maps(model, images, layers=None, batch_size: int = 32) -> dict[str, np.ndarray]:
    """The activations of layers, as the images make them: float32 (N,h,w,K) by the layer's path, shallow to deep.

    model: a Keras model or a TracedModel; inner layers of nested models have paths. layers: None = "conv", all
    convolutions; "relu" or "pool", layers that end in a ReLU or that pool; a Keras class, such as "MaxPooling2D";
    "all", those with a spatial output; a name or path; or a list of these. A name goes before a kind. What a softmax
    or sigmoid at the very top would turn into probabilities is given as the logits.

    Raises ValueError, before any work, for an unknown layer or kind, for a layer without channels over space and for
    images that do not fit.
    """
    probe = as_traced(model, images=images)
    images = probe.validate_inputs(images)
    paths = find_layers(probe, layers)
    slots = [probe.graph.slot_of[path] for path in paths]
    steps = probe.graph.ancestors(slots)
    _check_size(probe, steps, images.shape)

    def features(images):
        values = run_nodes(steps, {probe.graph.inputs[0]: images})
        return [ops.cast(values[slot], "float32") for slot in slots]

    program = probe.program((feature_maps, tuple(slots)), features)
    parts = []
    for (batch,), real in padded_batches([images], min(batch_size, len(images))):
        parts.append([backend.to_numpy(tensor)[:real] for tensor in program(batch)])
    return {path: np.concatenate(part) for path, part in zip(paths, zip(*parts))}


def find_layers(probe: TracedModel, layers=None) -> list[str]:
    """Layers as a user names them -> their paths, shallow to deep; ValueError as for `feature_maps`."""
    probe.require_graph()
    asked = ["conv"] if layers is None else [layers] if isinstance(layers, str) else list(layers)
    found = {path for one in asked for path in _paths(probe, one)}
    if not found:
        raise ValueError(f"no layers are asked for; there are: {', '.join(probe.layers)}")
    return [path for path in probe.layers if path in found]


def _paths(probe: TracedModel, asked: str) -> list[str]:
    """The layers that one word stands for."""
    graph, spatial = probe.graph, probe.layers
    asked = innermost_layer(asked, spatial, graph)
    operations = {step.path: step.operation for step in graph.nodes}
    found = matching_paths(asked, spatial)
    if not found:
        found = [path for path in spatial if asked == "all" or is_kind(operations[path], asked)]
    with_channels = [path for path in found if graph.shapes[graph.slot_of[path]][-1] != 0]
    if with_channels:
        return with_channels
    if asked in operations:
        shape = graph.shapes[graph.slot_of[asked]]
        raise ValueError(f"layer {asked!r} gives {shape}: no channels over space; there are: {', '.join(spatial)}")
    kinds = dict.fromkeys([*KINDS, "all", *(type(operations[path]).__name__ for path in spatial)])
    raise ValueError(f"no layer or kind {asked!r} in {probe.name!r}; there are: {', '.join([*spatial, *kinds])}")


def is_kind(operation, kind: str) -> bool:
    """Whether a layer or operation is of a kind: "conv", "relu", "pool" or a Keras class in any case."""
    if kind == "conv":
        return isinstance(operation, CONVOLUTIONS)
    if kind == "relu":
        return operation_name(operation) in RELU or operation_name(getattr(operation, "activation", None)) in RELU
    name = type(operation).__name__.lower()
    return "pool" in name if kind == "pool" else name == kind.lower()


def _check_size(probe: TracedModel, steps, shape: tuple[int, ...]) -> None:
    """ValueError, before any work, for images that the model takes and a layer of it cannot shrink further."""
    if None not in probe.input_shape[1:]:
        return
    values = {probe.graph.inputs[0]: keras.KerasTensor(shape)}
    for step in steps:
        try:
            written = tree.flatten(step(values, step.operation.compute_output_spec))
        except ValueError as error:
            raise ValueError(f"images of {shape[1:]} are too small for layer {step.path!r}") from error
        values.update(zip(step.writes, written))
