"""Tensors that are called non-negative are so for any input, and all others can be negative."""

import keras
import numpy as np
import pytest
from helpers import randomised
from keras import layers, ops

from keras_actmaps.core.graph import run_nodes
from keras_actmaps.core.rewrite import split_activations
from keras_actmaps.core.trace import trace_model
from keras_actmaps.core.value_ranges import nonnegative_slots


def relu(x):
    """A function of the name of Keras' own, with negative values."""
    return x - 0.5


def network() -> keras.Model:
    """Layers and operations that make, keep and lose signs; the last part of a name says what is expected."""
    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU(name="relu_never")(layers.Conv2D(4, 3, padding="same", name="conv_signed")(inputs))
    y = layers.ReLU(negative_slope=0.1, name="leaky_signed")(layers.Conv2D(4, 1, name="conv2_signed")(x))
    z = keras.activations.relu(layers.Conv2D(4, 1, name="conv3_signed")(x), threshold=-1.0)
    six = layers.Activation("relu6", name="six_never")(layers.BatchNormalization(name="norm_signed")(x))
    own = layers.Activation(relu, name="own_signed")(x)
    gate = layers.Dense(4, activation="sigmoid", name="gate_never")(
        layers.GlobalAveragePooling2D(keepdims=True, name="mean_never")(x)
    )
    kept = layers.Multiply(name="gated_never")([six, gate])
    kept = layers.Add(name="sum_never")([layers.Dropout(0.3, name="drop_never")(kept), x])
    mixed = layers.Add(name="sum_signed")([kept, y])
    shifted = layers.Subtract(name="difference_signed")([kept, x])
    kept = layers.ZeroPadding2D(1, name="pad_never")(layers.MaxPooling2D(2, name="pool_never")(kept))
    kept = layers.Concatenate(name="both_never")([kept, layers.ZeroPadding2D(1)(layers.AveragePooling2D(2)(x))])
    moved = ops.add(ops.relu(kept), -0.5)
    parts = [layers.Flatten()(part) for part in (mixed, shifted, kept, moved, z, own)]
    return randomised(keras.Model(inputs, layers.Dense(3, name="outputs_signed")(layers.Concatenate()(parts))), seed=2)


@pytest.fixture(scope="module")
def checked():
    """{path: (is called non-negative, lowest value on random inputs)}."""
    graph = split_activations(trace_model(network()))
    inputs = np.random.default_rng(0).normal(0, 2, (20, 8, 8, 3)).astype("float32")
    values = run_nodes(graph.nodes, {graph.inputs[0]: inputs})
    found = nonnegative_slots(graph)
    return {path: (slot in found, float(ops.min(values[slot]))) for path, slot in graph.slot_of.items()}


def test_what_is_called_nonnegative_is(checked):
    assert all(lowest >= 0 for never, lowest in checked.values() if never)
    assert min(lowest for never, lowest in checked.values() if not never) < 0


def test_layers_are_as_their_names_say(checked):
    named = {path: found for path, (found, _) in checked.items() if path.endswith(("never", "signed"))}
    assert named == {path: path.endswith("never") for path in named}
    (constant,) = (found for path, found in checked.items() if path.startswith("add"))
    (threshold,) = (found for path, found in checked.items() if path.startswith("re_lu"))
    assert not constant[0] and constant[1] < 0 and not threshold[0] and threshold[1] < 0


def test_inputs_are_never_called_nonnegative():
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(1)])
    assert nonnegative_slots(trace_model(model)) == set()
