"""LRP against published values of Captum, and its conservation."""

import keras
import numpy as np
import pytest
from helpers import captum_network, gap_network, randomised
from keras import layers

import keras_actmaps as kam


def captum_lrp_network(first=2.0):
    """Captum's SimpleLRPModel: 3 -> 3 -> 1 without biases, weights 2 and 3, ReLU between, then dropout."""
    inputs = keras.Input((3,))
    x = layers.Dense(3, use_bias=False, activation="relu", name="first")(inputs)
    outputs = layers.Dropout(0.01)(layers.Dense(1, use_bias=False, name="second")(x))
    model = keras.Model(inputs, outputs)
    kernel = np.full((3, 3), 2.0)
    kernel[0, 0] = first
    model.get_layer("first").set_weights([kernel])
    model.get_layer("second").set_weights([np.full((3, 1), 3.0)])
    return model


@pytest.mark.parametrize(
    ("first", "settings", "published"),
    [
        (2, {"rule": "epsilon", "epsilon": 1e-9}, [18, 36, 54]),
        (2, {"rule": "0"}, [18, 36, 54]),
        (-2, {"rules": {"first": "gamma", "second": "gamma"}, "gamma": 1}, [28 / 3, 104 / 3, 52]),
        (-2, {"rule": "alpha-beta", "alpha": 1, "beta": 0}, [12, 33.6, 50.4]),
        (-2, {"rule": "z+"}, [12, 33.6, 50.4]),
    ],
)
def test_the_small_network_of_captum(first, settings, published):
    """Captum's tests/attr/test_lrp.py; a batch of two, the second three times the first."""
    rows = np.array([[1, 2, 3], [3, 6, 9]], "float32")
    explanation = kam.explain(captum_lrp_network(first), rows, "lrp", targets=0, **settings)
    np.testing.assert_allclose(explanation.maps, np.outer([1, 3], published), rtol=1e-5)
    np.testing.assert_allclose(explanation.residual, 0, atol=1e-3)


def test_the_one_convolution_network_of_captum():
    """Captum's test_lrp_basic_attributions: the epsilon rule, its default, with biases."""
    images = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    explanation = kam.explain(captum_network(), images, "lrp", targets=0, rule="epsilon", epsilon=1e-9)
    # computed by hand: the gradients at the five active positions are 1, 1, 1, -1, -1, so LRP is gradient x input
    expected = [[0, 1, 2, 3], [0, 5, 6, 7], [0, 9, 10, 11], [0, 0, 0, 0]]
    np.testing.assert_allclose(explanation.maps[0], expected, atol=1e-3)


def test_the_residual_is_the_share_of_the_biases(images):
    model = gap_network()
    with_biases = kam.explain(model, images, "lrp", targets=1, rule="0")
    np.testing.assert_allclose(with_biases.residual, with_biases.maps.sum((1, 2)) - with_biases.scores, atol=1e-5)
    assert np.abs(with_biases.residual).min() > 0.01
    for weight in model.weights:
        weight.assign(0 * weight if weight.name == "bias" else weight)
    without = kam.explain(model, images, "lrp", targets=1, rule="0")
    np.testing.assert_allclose(without.residual, 0, atol=1e-5)


def test_a_function_as_target_starts_from_output_times_gradient(images):
    model = gap_network()
    both = [kam.explain(model, images, "lrp", targets=target).maps for target in (0, 2)]
    found = kam.explain(model, images, "lrp", targets=lambda outputs: outputs[:, 0] - 2 * outputs[:, 2])
    np.testing.assert_allclose(found.maps, both[0] - 2 * both[1], rtol=1e-4, atol=1e-4)


def test_softmax_and_nested_models_change_nothing(images):
    plain = kam.explain(gap_network(), images, "lrp", targets=1).maps
    for top in ({"activation": "softmax"}, {"softmax_layer": True}):
        np.testing.assert_allclose(kam.explain(gap_network(**top), images, "lrp", targets=1).maps, plain, rtol=1e-6)
    nested = keras.Sequential([keras.Input(images.shape[1:]), gap_network()])
    np.testing.assert_allclose(kam.explain(nested, images, "lrp", targets=1).maps, plain, rtol=1e-6)
    own = kam.explain(nested, images, "lrp", targets=1, rules={"gap_network/conv1": "flat"}).maps
    np.testing.assert_allclose(
        own, kam.explain(gap_network(), images, "lrp", 1, rules={"conv1": "flat"}).maps, rtol=1e-5
    )
    assert np.abs(own - plain).max() > 0.01 * np.abs(plain).max()


def test_mixed_precision_is_explained_in_float32():
    rows = np.random.default_rng(1).normal(size=(2, 8, 8, 1)).astype("float32")
    maps = {}
    for policy in ("float32", "mixed_bfloat16"):
        inputs = keras.Input((8, 8, 1))
        x = layers.Conv2D(4, 3, dtype=policy, activation="relu")(inputs)
        x = layers.BatchNormalization(dtype=policy)(layers.SeparableConv2D(3, 3, dtype=policy)(x))
        model = randomised(keras.Model(inputs, layers.Dense(2, dtype=policy)(layers.GlobalMaxPooling2D()(x))))
        maps[policy] = kam.explain(model, rows, "lrp", targets=1).maps
    np.testing.assert_allclose(maps["mixed_bfloat16"], maps["float32"], rtol=1e-4, atol=1e-6)
