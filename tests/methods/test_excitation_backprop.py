"""Excitation backprop by hand in NumPy, by the sums of probabilities, and by LRP z+."""

import keras
import numpy as np
import pytest
from helpers import array, gap_network, randomised
from keras import layers

import keras_actmaps as kam


def step(activations, kernel, probabilities):
    """P_i = sum_j P_j a_i w_ij+ / sum_k a_k w_kj+ of one image and one layer."""
    joint = activations[:, None] * np.maximum(kernel, 0)
    sums = joint.sum(0)
    return joint @ np.divide(probabilities, sums, out=np.zeros_like(sums), where=sums > 0)


def head():
    """Three positions with two channels, a hidden layer and three classes, with biases."""
    inputs = keras.Input((3, 2))
    x = layers.Rescaling(1.0, name="features")(inputs)
    x = layers.Dense(5, activation="relu")(layers.Flatten()(x))
    return randomised(keras.Model(inputs, layers.Dense(3, activation="softmax")(x)))


def walked(model, features, start, sign=1.0):
    first, bias, second, _ = model.get_weights()
    x = features.ravel()
    hidden = step(np.maximum(x @ first + bias, 0), sign * second, start)
    return step(x, first, hidden).reshape(features.shape).sum(-1)


FEATURES = np.random.default_rng(0).random((4, 3, 2)).astype("float32")


@pytest.mark.parametrize("target", [0, 1, 2])
def test_probabilities_by_hand(target):
    model, start = head(), np.eye(3)[target]
    plain = kam.explain(model, FEATURES, "excitation_backprop", target, layer="features")
    expected = np.stack([walked(model, one, start) for one in FEATURES])
    np.testing.assert_allclose(plain.maps, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(plain.residual, expected.sum(1) - 1, atol=1e-5)
    dual = np.stack([walked(model, one, start, -1.0) for one in FEATURES])
    contrast = kam.explain(model, FEATURES, "excitation_backprop", target, layer="features", contrastive=True)
    np.testing.assert_allclose(contrast.maps, expected - dual, rtol=1e-4, atol=1e-6)


def test_a_difference_of_classes_starts_at_one_unit_and_at_a_dual_one():
    model = head()
    target = kam.targets.Difference(0, 2)
    found = kam.explain(model, FEATURES, "excitation_backprop", target, layer="features").maps
    parts = [[walked(model, one, np.eye(3)[0]), walked(model, one, np.eye(3)[2], -1.0)] for one in FEATURES]
    np.testing.assert_allclose(found, np.mean(parts, axis=1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layer", ["conv1", "pool1", "features"])
def test_probabilities_sum_to_1_at_each_layer(layer, images):
    model = gap_network(images.shape[1:])
    probe = kam.Probe(model, layer=layer)
    e = kam.explain(probe, images, "excitation_backprop", targets=1)
    np.testing.assert_allclose(e.residual, 0, atol=1e-4)
    assert e.maps.min() >= 0 and e.layer == layer
    contrast = kam.explain(probe, images, "excitation_backprop", targets=1, contrastive=True)
    np.testing.assert_allclose(contrast.residual, 0, atol=1e-4)
    assert contrast.maps.min() < 0 < contrast.maps.max()


def test_it_is_lrp_z_plus_without_biases_divided_by_the_score():
    inputs = keras.Input((8, 8, 2))
    x = layers.Rescaling(1.0, name="pixels")(inputs)
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(x))
    x = layers.MaxPooling2D()(layers.ReLU()(x))
    x = layers.Add()([x, layers.Conv2D(4, 3, padding="same", activation="relu")(x)])
    model = randomised(keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))))
    images = np.random.default_rng(1).random((3, 8, 8, 2)).astype("float32")
    found = kam.explain(model, images, "excitation_backprop", targets=2, layer="pixels").maps
    e = kam.explain(model, images, "lrp", targets=2, rule="z+", bias=False)
    np.testing.assert_allclose(found, e.maps / e.scores[:, None, None], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(e.scores, array(model(images))[:, 2], rtol=1e-4, atol=1e-6)


def test_layers_without_probabilities_are_an_error():
    inputs = keras.Input((8, 8, 2))
    x = layers.LayerNormalization(name="norm")(layers.Conv2D(4, 3, name="conv")(inputs))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    images = np.ones((1, 8, 8, 2), "float32")
    with pytest.raises(ValueError, match=r"^excitation_backprop has no probabilities for layer 'norm'"):
        kam.explain(model, images, "excitation_backprop", targets=0, layer="conv")
    with pytest.raises(ValueError, match=r"^contrastive needs a layer with a kernel between norm and the outputs"):
        kam.explain(model, images, "excitation_backprop", targets=0, layer="norm", contrastive=True)
