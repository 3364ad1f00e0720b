"""Grad-CAM against Captum's toy network, the gradient by the framework's own means and CAM."""

import keras
import numpy as np
import pytest
from helpers import array, captum_network, gap_network, gradient_of, outside_keras, randomised
from keras import layers, ops

import keras_actmaps as kam


def gradcam_of(head, features, target):
    """Grad-CAM written out; `head` maps features to logits."""
    weights = gradient_of(lambda features: head(features)[:, target], features).mean((1, 2), keepdims=True)
    return np.maximum((weights * array(features)).sum(-1), 0)


@pytest.mark.parametrize("layer, expected", [("relu", [[0, 4], [28, 32.5]]), ("conv", [[11.25, 13.5], [20.25, 22.5]])])
def test_captums_toy_values(layer, expected):
    images = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    maps = kam.METHODS["gradcam"](kam.Probe(captum_network(), layer), images, [0])
    np.testing.assert_allclose(maps[0], expected, rtol=1e-6)


def test_is_cam_without_the_bias_on_a_gap_network(images):
    model = gap_network()
    probe = kam.Probe(model)
    targets = np.array([0, 1, 2, 3, 0])
    maps, class_maps = (kam.METHODS[name](probe, images, targets) for name in ("gradcam", "cam"))
    bias = model.get_layer("logits").bias.numpy()[targets][:, None, None]
    places = maps.shape[1] * maps.shape[2]
    np.testing.assert_allclose(places * maps, np.maximum(class_maps - bias, 0), atol=1e-5)
    assert maps.max() > 0


@pytest.mark.parametrize("settings", [{}, {"activation": "softmax"}, {"softmax_layer": True}])
def test_a_softmax_inside_behind_or_absent_makes_no_difference(images, settings):
    plain, model = gap_network(), gap_network(**settings)
    model.set_weights([100 * w if w.shape[-1] == 4 else w for w in plain.get_weights()])  # p is 1.0: saturated
    plain.set_weights(model.get_weights())
    features = keras.Model(plain.inputs, plain.get_layer("features").output)(images)
    expected = gradcam_of(lambda f: plain.layers[-1](plain.get_layer("gap")(f)), features, 2)
    maps = kam.METHODS["gradcam"](kam.Probe(model), images, [2] * 5)
    assert maps.max() > 0.1
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-5)


def nested_resnet():
    backbone = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(64, 64, 3))
    inputs = keras.Input((64, 64, 3))
    x = layers.GlobalAveragePooling2D(name="gap")(backbone(inputs))
    return randomised(keras.Model(inputs, layers.Dense(5, activation="softmax", name="logits")(x)))


def test_a_backbone_used_as_a_layer_inner_layers_included():
    model = nested_resnet()
    backbone, logits = model.get_layer("resnet50"), model.get_layer("logits")
    images = np.random.default_rng(1).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    inner = backbone.get_layer("conv4_block6_out").output
    features, last = keras.Model(backbone.inputs, [inner, backbone.output])(images)

    def linear(pooled):
        return pooled @ logits.kernel + logits.bias

    expected = gradcam_of(lambda f: linear(ops.mean(f, (1, 2))), last, 3)
    maps = kam.METHODS["gradcam"](kam.Probe(model), images, [3, 3])
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-4 * expected.max())

    rest = keras.Model(inner, backbone.output)
    expected = gradcam_of(lambda f: linear(ops.mean(rest(f), (1, 2))), features, 3)
    for layer in ("resnet50/conv4_block6_out", "conv4_block6_out"):
        maps = kam.METHODS["gradcam"](kam.Probe(model, layer), images, [3, 3])
        np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-4 * expected.max())


class Subclassed(keras.Model):
    """The layers of another model, called one after the other by hand."""

    def __init__(self, model, outside_keras=False):
        super().__init__()
        self.parts = [layer for layer in model.layers if layer.weights or "ool" in type(layer).__name__]
        self.outside_keras = outside_keras

    def call(self, images):
        for part in self.parts:
            images = part(images)
        return outside_keras(images) if self.outside_keras else images


@pytest.mark.parametrize("name", ["gradcam", "cam"])
def test_sequential_and_subclassed_models_give_the_same_maps(images, name):
    model = gap_network(activation="softmax")
    subclassed = Subclassed(model)
    subclassed(images)
    sequential = keras.Sequential([keras.Input(images.shape[1:]), *model.layers[1:]])
    expected = kam.explain(model, images, name, targets=1).maps
    for other in (subclassed, sequential):
        np.testing.assert_allclose(kam.explain(other, images, name, targets=1).maps, expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(
            kam.explain(other, images, name, targets=1, layer="conv1").maps if name == "gradcam" else expected,
            kam.explain(model, images, name, targets=1, layer="conv1").maps if name == "gradcam" else expected,
            rtol=1e-5, atol=1e-6,
        )  # fmt: skip


def test_a_subclassed_model_outside_keras_says_what_works(images):
    model = Subclassed(gap_network(), outside_keras=True)
    model(images)
    with pytest.raises(ValueError, match=r"cannot be traced .*; methods that need no layer work"):
        kam.explain(model, images)
    assert kam.explain(model, images, "saliency").maps.max() > 0
    sure = Subclassed(gap_network(activation="softmax"), outside_keras=True)
    sure(images)
    with pytest.warns(UserWarning, match="gives probabilities, and its softmax cannot be seen"):
        kam.explain(sure, images, "saliency")


def test_all_targets_are_each_target_by_itself(images):
    model = gap_network()
    probe = kam.Probe(model, "conv1")
    together = kam.METHODS["gradcam"](probe, images, np.tile(np.arange(4), (5, 1)))
    for target in range(4):
        alone = kam.METHODS["gradcam"](probe, images, [target] * 5)
        np.testing.assert_allclose(together[:, target], alone, rtol=1e-5, atol=1e-7)


def test_a_function_of_the_outputs_is_a_target(images):
    model = gap_network()
    pair = kam.METHODS["gradcam"](kam.Probe(model), images, lambda outputs: 2 * outputs[:, 1])
    np.testing.assert_allclose(pair, 2 * kam.METHODS["gradcam"](kam.Probe(model), images, [1] * 5), rtol=1e-5)
