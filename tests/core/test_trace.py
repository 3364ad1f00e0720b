"""Traced graphs: the same outputs as the model, nested and shared layers included; softmax and sigmoid taken off."""

import keras
import numpy as np
import pytest
from helpers import array, gap_network, randomised
from keras import layers, ops

import keras_actmaps as kam
from keras_actmaps import backend
from keras_actmaps.core.graph import run_nodes
from keras_actmaps.core.output_activation import strip_output_activation
from keras_actmaps.core.trace import trace_model


def run(graph, images):
    def outputs(images):
        values = run_nodes(graph.nodes, {graph.inputs[0]: images})
        return keras.tree.map_structure(lambda slot: values[slot], graph.outputs)

    return keras.tree.map_structure(array, backend.CompiledFunction(outputs)(images))


def twice_shared():
    """One backbone called on an image and on its mirror image; two outputs as a dictionary."""
    inner = gap_network()
    backbone = keras.Model(inner.inputs, inner.get_layer("features").output, name="backbone")
    inputs = keras.Input((12, 16, 3))
    one, two = backbone(inputs), backbone(ops.flip(inputs, axis=2))
    pooled = layers.GlobalAveragePooling2D()(layers.Subtract()([one, two]))
    return keras.Model(inputs, {"classes": layers.Dense(3, "softmax")(pooled), "norm": ops.sum(pooled, axis=1)})


@pytest.mark.parametrize(
    "make",
    [
        gap_network,
        lambda: keras.Sequential([keras.Input((12, 16, 3)), keras.Sequential([layers.Conv2D(3, 3)]), layers.Flatten()]),
        lambda: keras.applications.MobileNetV2(input_shape=(32, 32, 3), weights=None, classes=5),
        lambda: keras.applications.DenseNet121(input_shape=(32, 32, 3), weights=None, classes=5),
        twice_shared,
    ],
)
def test_the_graph_computes_what_the_model_does(make):
    model = randomised(make())
    images = np.random.default_rng(0).random((2, *model.input_shape[1:]), "float32")
    found, expected = run(trace_model(model), images), model.predict(images, verbose=0)
    keras.tree.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, expected)


def tops():
    x = keras.Input((5,))
    dense = layers.Dense(3, name="logits")
    yield keras.Model(x, layers.Softmax()(dense(x)))
    yield keras.Model(x, layers.Activation("softmax", dtype="float32")(dense(x)))
    yield keras.Model(x, ops.softmax(dense(x)))
    yield keras.Model(x, keras.activations.sigmoid(dense(x)))
    yield keras.Model(x, layers.Activation("linear")(layers.Dense(3, "softmax", name="logits")(x)))
    yield keras.Model(x, layers.Dropout(0.5)(layers.Softmax()(dense(x))))
    yield keras.Model(x, dense(x))


@pytest.mark.parametrize("model", list(tops()))
def test_softmax_and_sigmoid_are_taken_off_in_every_spelling(model):
    values = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    kernel, bias = model.get_layer("logits").get_weights()
    before = model.predict(values, verbose=0)
    graph = strip_output_activation(trace_model(model))
    np.testing.assert_allclose(run(graph, values), values @ kernel + bias, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.predict(values, verbose=0), before)


def test_a_relu_top_is_kept():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3, "relu")])
    values = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    np.testing.assert_allclose(
        run(strip_output_activation(trace_model(model)), values), model.predict(values, verbose=0), rtol=1e-5
    )


def test_a_shift_of_zero_has_the_gradient_of_its_slot_without_a_cut():
    inputs = keras.Input((4,))
    left = layers.Dense(4, "relu", name="left")(inputs)
    model = randomised(keras.Model(inputs, layers.Dense(1)(layers.Add()([left, inputs]))))
    graph = trace_model(model)
    values = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    shift = np.zeros((2, 4), "float32")
    shift[:, 1] = 0.5
    kernel = model.layers[-1].kernel.numpy()[:, 0]
    nodes, start = graph.nodes, {graph.inputs[0]: ops.convert_to_tensor(values)}
    plain = run_nodes(nodes, start)[graph.outputs]
    moved = run_nodes(nodes, start, {graph.slot_of["left"]: ops.convert_to_tensor(shift)})[graph.outputs]
    np.testing.assert_allclose(array(moved - plain), np.full((2, 1), 0.5 * kernel[1]), rtol=1e-4)


class Counting(keras.Sequential):
    """A Sequential whose call does more than its layers."""

    def call(self, inputs, **kwargs):
        return 2 * super().call(inputs, **kwargs)


def test_an_overridden_call_is_traced_instead_of_the_layers():
    model = Counting([keras.Input((5,)), layers.Dense(3)])
    values = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    np.testing.assert_allclose(run(trace_model(model), values), model.predict(values, verbose=0), rtol=1e-5)


class Unsized(keras.Model):
    """Reads the batch size from its input."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, inputs):
        return self.dense(ops.reshape(inputs, (ops.shape(inputs)[0], -1)))


def test_a_call_that_reads_the_batch_size_is_explained_as_a_single_node():
    model, images = Unsized(), np.random.default_rng(0).random((5, 4, 3, 2), "float32")
    model(images)
    e = kam.explain(model, images, "gradient_x_input", targets=1, channels="keep", batch_size=2)
    kernel = model.dense.get_weights()[0][:, 1].reshape(4, 3, 2)
    np.testing.assert_allclose(e.maps, images * kernel, rtol=1e-5, atol=1e-6)
