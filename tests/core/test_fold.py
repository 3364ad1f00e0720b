"""Folding: the same function with fewer nodes, from the live variables."""

import keras
import numpy as np
import pytest
from helpers import randomised
from keras import layers

import keras_actmaps as kam
from keras_actmaps.core.fold import fold_normalization
from keras_actmaps.core.graph import run_nodes
from keras_actmaps.core.trace import trace_model
from keras_actmaps.core.traced_model import TracedModel

AFTER = {  # a layer whose outputs are normalized
    "dense": ((5,), [layers.Dense(4)]),
    "dense at each position": ((6, 5), [layers.Dense(4, use_bias=False)]),
    "conv": ((9, 8, 3), [layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)]),
    "conv1d": ((9, 3), [layers.Conv1D(4, 3, padding="causal")]),
    "groups": ((9, 8, 4), [layers.Conv2D(6, 3, groups=2)]),
    "depthwise": ((9, 8, 3), [layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")]),
    "separable": ((9, 8, 3), [layers.SeparableConv2D(5, 3, padding="same")]),
    "transposed": ((5, 4, 3), [layers.Conv2DTranspose(4, 3, strides=2, padding="same")]),
}
BEFORE = {  # a layer whose inputs are normalized
    "dense": ((5,), [layers.Dense(4, activation="tanh")]),
    "conv": ((9, 8, 3), [layers.Conv2D(4, 3, strides=2, activation="relu")]),
    "dilated": ((9, 8, 3), [layers.Conv2D(4, 3, dilation_rate=2)]),
    "pointwise": ((9, 8, 3), [layers.Conv2D(4, 1, strides=2, padding="same")]),
    "depthwise": ((9, 8, 3), [layers.DepthwiseConv2D(3, depth_multiplier=2)]),
    "separable": ((9, 8, 3), [layers.SeparableConv2D(5, 3)]),
}
NORMS = [layers.BatchNormalization(), layers.BatchNormalization(scale=False), layers.BatchNormalization(center=False)]


def chain(shape, parts) -> keras.Model:
    """A Sequential model of copies of the layers, with random weights."""
    fresh = [layer.__class__.from_config({**layer.get_config(), "name": None}) for layer in parts]
    return randomised(keras.Sequential([keras.Input(shape), *fresh]))


def assert_folded(model, left):
    """The folded graph computes what the model computes, with `left` batch normalizations left."""
    graph = fold_normalization(trace_model(model))
    norms = sum(isinstance(node.operation, layers.BatchNormalization) for node in graph.nodes)
    assert norms == left
    inputs = np.random.default_rng(0).normal(size=(3, *model.input_shape[1:])).astype("float32")
    expected = keras.ops.convert_to_numpy(model(inputs, training=False))
    found = keras.ops.convert_to_numpy(run_nodes(graph.nodes, {graph.inputs[0]: inputs})[graph.outputs])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", AFTER)
def test_normalizations_after_a_layer_are_folded(name):
    shape, parts = AFTER[name]
    assert_folded(chain(shape, [*parts, NORMS[len(name) % 3], layers.ReLU(), layers.Flatten()]), left=0)


@pytest.mark.parametrize("name", BEFORE)
def test_normalizations_before_a_layer_without_padding_are_folded(name):
    shape, parts = BEFORE[name]
    assert_folded(chain(shape, [NORMS[len(name) % 3], *parts]), left=0)


def test_several_normalizations_of_one_layer_are_folded():
    norm = NORMS[0]
    assert_folded(chain((9, 8, 3), [norm, layers.Conv2D(4, 3), norm, norm, layers.Conv2D(2, 3, padding="same")]), 0)


@pytest.mark.parametrize(
    "parts",
    [
        [layers.BatchNormalization(), layers.Conv2D(4, 3, padding="same")],
        [layers.BatchNormalization(), layers.ZeroPadding2D(1), layers.Conv2D(4, 3)],
        [layers.BatchNormalization(), layers.Conv2D(6, 3, groups=3)],
        [layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()],
        [layers.Conv2D(8, 3, padding="same"), layers.BatchNormalization(axis=1)],
        [layers.BatchNormalization(), layers.ReLU()],
    ],
)
def test_normalizations_that_cannot_be_folded_are_left(parts):
    assert_folded(chain((9, 8, 3), parts), left=1)


def test_a_kernel_that_is_larger_than_what_is_normalized_is_left():
    assert_folded(chain((5,), [layers.Dense(40), layers.BatchNormalization(), layers.Dense(9)]), left=0)
    assert_folded(chain((50,), [layers.Dense(40), layers.BatchNormalization(), layers.Dense(9)]), left=1)


class Doubled(layers.Conv2D):
    """A convolution that uses its kernel in a way of its own, with the `call` of Keras."""

    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, 2 * kernel / keras.ops.max(kernel))


def test_layers_of_users_and_read_twice_are_left():
    inputs = keras.Input((9, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization()(Doubled(4, 3)(inputs)))
    y = layers.Conv2D(4, 1)(x)
    assert_folded(randomised(keras.Model(inputs, layers.Add()([y, layers.BatchNormalization()(y)]))), left=2)


def network() -> keras.Model:
    """A convolution whose features are normalized, a depthwise one, and a head."""
    inputs = keras.Input((10, 8, 3))
    x = layers.ReLU()(
        layers.BatchNormalization(name="norm1")(layers.Conv2D(5, 3, padding="same", name="conv1")(inputs))
    )
    x = layers.BatchNormalization(name="norm2")(layers.DepthwiseConv2D(3, name="conv2")(x))
    x = layers.GlobalAveragePooling2D()(layers.Activation("relu", name="features")(x))
    return randomised(keras.Model(inputs, layers.Dense(3)(layers.BatchNormalization()(x))), seed=3)


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).random((4, 10, 8, 3), "float32")


def unfolded(model, layer=None) -> TracedModel:
    """A traced model that runs the graph as it is."""
    traced = TracedModel(model, layer)
    traced._folded = traced.graph, traced.graph, traced.graph
    return traced


@pytest.mark.parametrize("layer", ["conv1", "norm1", "conv2", "features"])
@pytest.mark.parametrize("method", ["gradcam", "hirescam", "scorecam"])
def test_maps_at_every_layer_are_those_of_the_unfolded_graph(model, images, method, layer):
    expected = kam.explain(unfolded(model, layer), images, method, targets="all")
    found = kam.explain(model, images, method, targets="all", layer=layer)
    np.testing.assert_allclose(found.maps, expected.maps, atol=1e-5 * np.abs(expected.maps).max())
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5, atol=1e-5)
    assert np.abs(found.maps).max() > 0


@pytest.mark.parametrize("method", ["saliency", "guided_backprop", "deconvnet", "deeplift"])
def test_maps_of_the_input_are_those_of_the_unfolded_graph(model, images, method):
    expected = kam.explain(unfolded(model), images, method, channels="keep")
    found = kam.explain(model, images, method, channels="keep")
    np.testing.assert_allclose(found.maps, expected.maps, atol=1e-5 * np.abs(expected.maps).max())


def test_weights_are_read_at_every_call(model, images):
    """Moving averages and kernels that change after the first call change the maps of a compiled program."""
    probe = kam.Probe(model)
    before = kam.explain(probe, images, "saliency")
    weights = model.get_weights()
    model.get_layer("norm1").moving_variance.assign(np.linspace(2, 9, 5))
    model.get_layer("conv2").bias.assign(np.linspace(-1, 1, 5))
    after, expected = kam.explain(probe, images, "saliency"), kam.explain(unfolded(model), images, "saliency")
    model.set_weights(weights)
    assert np.abs(after.maps - before.maps).max() > 0.1 * np.abs(before.maps).max()
    np.testing.assert_allclose(after.maps, expected.maps, atol=1e-5 * np.abs(expected.maps).max())
    assert probe.traces in (0, 1)  # PyTorch runs eagerly
