"""Feature maps against Keras' own submodels, for every way to specify layers."""

import keras
import numpy as np
import pytest
from helpers import gap_network, randomised, traced
from keras import layers

import keras_actmaps as kam
from keras_actmaps.features.feature_maps import find_layers


def network(shape=(12, 16, 3)) -> keras.Model:
    """Convolutions with ReLU as a layer, an argument, an operation and leaky; pools; one nested model; a head."""
    inner = keras.Sequential(
        [keras.Input((6, 8, 5)), layers.DepthwiseConv2D(3, name="deep"), layers.ReLU(name="inner_relu")], name="inner"
    )
    images = keras.Input(shape)
    x = layers.Conv2D(5, 3, padding="same", name="first")(images)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu1")(x)
    x = layers.MaxPooling2D(name="pool1")(x)
    x = inner(x)
    x = layers.Conv2D(1, 1, activation="leaky_relu", name="one")(x)
    x = layers.Conv2D(7, 2, strides=2, activation="silu", name="last")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return randomised(keras.Model(images, layers.Dense(3, activation="softmax", name="logits")(x), name="net"))


def expected(model, name, images):
    return keras.Model(model.inputs, model.get_layer(name).output).predict(images, verbose=0)


@pytest.mark.parametrize("name", ["first", "norm", "relu1", "pool1", "inner", "one", "last"])
def test_features_are_those_of_keras_own_submodel(images, name):
    model = network()
    (found,) = kam.feature_maps(model, images, name, batch_size=2).values()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(model, name, images), rtol=1e-5, atol=1e-5)


def test_a_layer_inside_a_nested_model_by_its_path_or_its_own_name(images):
    model = network()
    inner = model.get_layer("inner")
    deep = expected(inner, "deep", expected(model, "pool1", images))
    for layer in ("inner/deep", "deep"):
        found = kam.feature_maps(model, images, layer)
        assert list(found) == ["inner/deep"]
        np.testing.assert_allclose(found["inner/deep"], deep, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "layers_, paths",
    [
        (None, ["first", "inner/deep", "one", "last"]),
        ("conv", ["first", "inner/deep", "one", "last"]),
        ("relu", ["relu1", "inner/inner_relu", "one"]),
        ("pool", ["pool1"]),
        ("Conv2D", ["first", "one", "last"]),
        ("conv2d", ["first", "one", "last"]),
        (["last", "pool", "first", "last"], ["first", "pool1", "last"]),
        ("all", ["first", "norm", "relu1", "pool1", "inner/deep", "inner/inner_relu", "one", "last"]),
    ],
)
def test_types_and_lists_give_layers_in_the_order_in_which_they_run(layers_, paths):
    assert find_layers(kam.Probe(network()), layers_) == paths


def test_a_name_takes_precedence_over_a_type():
    inputs = keras.Input((8, 8, 1))
    x = layers.ReLU(name="conv")(layers.Conv2D(2, 3, name="relu")(inputs))
    probe = kam.Probe(keras.Model(inputs, layers.Conv2D(2, 3, name="all")(x)))
    assert [find_layers(probe, name) for name in ("conv", "relu", "all")] == [["conv"], ["relu"], ["all"]]


@traced
def test_one_shape_is_compiled_once_and_later_weights_are_used(images):
    model = gap_network()
    probe = kam.Probe(model)
    before = kam.feature_maps(probe, images, batch_size=2)["features"]
    model.get_layer("features").set_weights([2 * w for w in model.get_layer("features").get_weights()])
    after = kam.feature_maps(probe, images.copy(), batch_size=2)["features"]
    np.testing.assert_allclose(after, 2 * before, rtol=1e-5)
    assert probe.traces == 1


def test_feature_maps_of_sequences():
    series = np.random.default_rng(0).random((2, 9, 4), "float32")
    model = randomised(keras.Sequential([keras.Input((9, 4)), layers.Conv1D(5, 3, name="c"), layers.Flatten()]))
    np.testing.assert_allclose(kam.feature_maps(model, series)["c"], expected(model, "c", series), rtol=1e-5, atol=1e-6)


def test_the_model_and_its_nodes_are_not_changed():
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(2, 3, name="c"), layers.GlobalMaxPooling2D()])
    nodes = len(model.get_layer("c")._inbound_nodes)
    kam.feature_maps(model, np.zeros((1, 5, 5, 3), "float32"))
    assert len(model.get_layer("c")._inbound_nodes) == nodes


class Opaque(keras.Model):
    """A model that cannot be traced."""

    def call(self, images):
        return keras.ops.convert_to_tensor(keras.ops.convert_to_numpy(images).mean((1, 2)))


@pytest.mark.parametrize(
    "layers_, message",
    [
        ("gap", r"layer 'gap' has outputs of shape \(None, 7\), without channels over space; choices: first, .*last$"),
        ("nope", r"no layer or type 'nope' in 'net'; choices: first, .*last, conv, relu, pool, all, Conv2D, .*ReLU"),
        (["first", "Dense"], r"no layer or type 'Dense' in 'net'; choices: "),
        ([], r"layers must not be empty; choices: first, "),
    ],
)
def test_bad_layers_are_one_line(images, layers_, message):
    with pytest.raises(ValueError, match=message) as error:
        kam.feature_maps(network(), images, layers_)
    assert "\n" not in str(error.value)


def test_a_layer_of_no_channels_and_an_image_smaller_than_a_kernel_are_one_line():
    inputs = keras.Input((8, 8, 3))
    none = keras.Model(
        inputs,
        [
            layers.Conv2D(2, 3, name="c")(inputs),
            layers.Lambda(lambda x: x[..., :0], output_shape=(8, 8, 0), name="none")(inputs),
        ],
    )
    with pytest.raises(
        ValueError, match=r"layer 'none' has outputs of shape \(None, 8, 8, 0\), without channels over space"
    ):
        kam.feature_maps(none, np.zeros((1, 8, 8, 3), "float32"), "none")
    any_size = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(2, 3, name="small"),
            layers.Conv2D(2, 5, name="large"),
            layers.GlobalMaxPooling2D(),
        ]
    )
    assert kam.feature_maps(any_size, np.zeros((1, 7, 7, 3), "float32"))["large"].shape == (1, 1, 1, 2)
    with pytest.raises(ValueError, match=r"images of \(6, 7, 3\) are too small for layer 'large'$"):
        kam.feature_maps(any_size, np.zeros((1, 6, 7, 3), "float32"))
    assert kam.feature_maps(any_size, np.zeros((1, 6, 7, 3), "float32"), "small")["small"].shape == (1, 4, 5, 2)
