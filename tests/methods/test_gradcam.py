"""Grad-CAM against published values of Captum's toy network, the framework's own gradient, and CAM."""

import keras
import numpy as np
import pytest
from helpers import array, captum_network, gap_network, gradient_of, outside_keras, randomised, raw_maps
from keras import layers, ops

import keras_actmaps as kam


def gradcam_of(head, features, target):
    """Grad-CAM written out; `head` maps features to logits."""
    weights = gradient_of(lambda features: head(features)[:, target], features).mean((1, 2), keepdims=True)
    return np.maximum((weights * array(features)).sum(-1), 0)


@pytest.mark.parametrize("layer, expected", [("relu", [[0, 4], [28, 32.5]]), ("conv", [[11.25, 13.5], [20.25, 22.5]])])
def test_captums_toy_values(layer, expected):
    images = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    maps = raw_maps("gradcam", captum_network(), images, [0], layer)
    np.testing.assert_allclose(maps[0], expected, rtol=1e-6)


def test_is_proportional_to_cam_without_the_bias_on_a_gap_network(images):
    model = gap_network()
    targets = np.array([0, 1, 2, 3, 0])
    maps, class_maps = (raw_maps(name, model, images, targets) for name in ("gradcam", "cam"))
    bias = model.get_layer("logits").bias.numpy()[targets][:, None, None]
    positions = maps.shape[1] * maps.shape[2]
    np.testing.assert_allclose(positions * maps, np.maximum(class_maps - bias, 0), atol=1e-5)
    assert maps.max() > 0


@pytest.mark.parametrize("settings", [{}, {"activation": "softmax"}, {"softmax_layer": True}])
def test_maps_do_not_depend_on_the_softmax(images, settings):
    plain, model = gap_network(), gap_network(**settings)
    model.set_weights(
        [100 * w if w.shape[-1] == 4 else w for w in plain.get_weights()]
    )  # so large that probabilities saturate at 1.0
    plain.set_weights(model.get_weights())
    features = keras.Model(plain.inputs, plain.get_layer("features").output)(images)
    expected = gradcam_of(lambda f: plain.layers[-1](plain.get_layer("gap")(f)), features, 2)
    maps = raw_maps("gradcam", model, images, [2] * 5)
    assert maps.max() > 0.1
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-5)


def nested_resnet():
    backbone = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(64, 64, 3))
    inputs = keras.Input((64, 64, 3))
    x = layers.GlobalAveragePooling2D(name="gap")(backbone(inputs))
    return randomised(keras.Model(inputs, layers.Dense(5, activation="softmax", name="logits")(x)))


def test_a_backbone_as_a_layer_and_its_inner_layers():
    model = nested_resnet()
    backbone, logits = model.get_layer("resnet50"), model.get_layer("logits")
    images = np.random.default_rng(1).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    inner = backbone.get_layer("conv4_block6_out").output
    features, last = keras.Model(backbone.inputs, [inner, backbone.output])(images)

    def linear(pooled):
        return pooled @ logits.kernel + logits.bias

    expected = gradcam_of(lambda f: linear(ops.mean(f, (1, 2))), last, 3)
    maps = raw_maps("gradcam", model, images, [3, 3])
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-4 * expected.max())

    rest = keras.Model(inner, backbone.output)
    expected = gradcam_of(lambda f: linear(ops.mean(rest(f), (1, 2))), features, 3)
    for layer in ("resnet50/conv4_block6_out", "conv4_block6_out"):
        maps = raw_maps("gradcam", model, images, [3, 3], layer)
        np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-4 * expected.max())


class Subclassed(keras.Model):
    """A subclassed model that calls the layers of another model one after the other."""

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
        if name == "gradcam":
            early, same = (kam.explain(m, images, name, targets=1, layer="conv1").maps for m in (model, other))
            np.testing.assert_allclose(same, early, rtol=1e-5, atol=1e-6)


def test_the_error_for_a_model_outside_keras_says_what_works(images):
    model = Subclassed(gap_network(), outside_keras=True)
    model(images)
    with pytest.raises(ValueError, match=r"cannot be traced .*; methods that need no layer work"):
        kam.explain(model, images)
    assert kam.explain(model, images, "saliency").maps.max() > 0
    sure = Subclassed(gap_network(activation="softmax"), outside_keras=True)
    sure(images)
    with pytest.warns(UserWarning, match="returns probabilities, and its softmax cannot be removed"):
        kam.explain(sure, images, "saliency")


def test_all_targets_are_each_target_by_itself(images):
    model = gap_network()
    together = raw_maps("gradcam", model, images, np.tile(np.arange(4), (5, 1)), "conv1")
    for target in range(4):
        alone = raw_maps("gradcam", model, images, [target] * 5, "conv1")
        np.testing.assert_allclose(together[:, target], alone, rtol=1e-5, atol=1e-7)


def test_a_function_of_the_outputs_is_a_target(images):
    model = gap_network()
    pair = raw_maps("gradcam", model, images, lambda outputs: 2 * outputs[:, 1])
    np.testing.assert_allclose(pair, 2 * raw_maps("gradcam", model, images, [1] * 5), rtol=1e-5)
