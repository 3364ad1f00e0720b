"""Completeness on real networks with random weights: what a map sums to, to within one percent of the score."""

import functools

import keras
import numpy as np
import pytest
from helpers import array, randomised

import keras_actmaps as kam
from keras_actmaps.core.linear import linearize

NETWORKS = ["grid_cnn", "cifar_cnn", "ResNet50", "VGG16", "MobileNetV2", "EfficientNetB0"]


@functools.cache
def network(name: str) -> keras.Model:
    """The network with random weights and linear outputs; the large ones on images of 64x64."""
    keras.utils.set_random_seed(0)
    if name in kam.models.MODELS:
        return randomised(kam.models.MODELS[name]())
    build = getattr(keras.applications, name)
    return build(weights=None, input_shape=(64, 64, 3), classes=10, classifier_activation=None)


def pictures(model: keras.Model, count: int = 2) -> np.ndarray:
    """Smooth images of random colors, from -1 to 1."""
    coarse = np.random.default_rng(0).uniform(-1, 1, (count, 6, 6, model.input_shape[-1]))
    return array(keras.ops.image.resize(coarse.astype("float32"), model.input_shape[1:3]))


@pytest.mark.parametrize("baseline", ["zero", "mean"])
@pytest.mark.parametrize("name", NETWORKS)
def test_integrated_gradients_sum_to_the_difference_in_score(name, baseline):
    model = network(name)
    images = pictures(model)
    start = images.mean((1, 2), keepdims=True) + 0 * images if baseline == "mean" else 0 * images
    e = kam.explain(model, images, "integrated_gradients", baseline=baseline, steps=8, tolerance=1e-2, batch_size=16)
    rows = np.arange(len(images))
    difference = (model.predict(images, verbose=0) - model.predict(start, verbose=0))[rows, e.targets]
    missing = np.abs(e.maps.sum((1, 2)) - difference)
    np.testing.assert_array_less(missing, 1e-2 * np.minimum(np.abs(difference), np.abs(e.scores)))
    np.testing.assert_allclose(np.abs(e.residual), missing, atol=1e-5 * np.abs(e.scores).max())


@functools.cache
def calibrated(name: str, biases: bool) -> keras.Model:
    """The network with random scales and biases, batch normalization as after training; or without any bias."""
    model = network.__wrapped__(name)
    random = np.random.default_rng(1)
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
        norm.gamma.assign(random.uniform(0.5, 1.5, norm.gamma.shape))
        norm.beta.assign(random.normal(0, 0.3 * biases, norm.beta.shape))
    model(pictures(model, 4), training=True)
    for weight in model.weights:
        if weight.name == "bias":
            weight.assign(random.normal(0, 0.1 * biases, weight.shape))
    for norm in [] if biases else norms:
        norm.moving_variance.assign_add(norm.moving_mean**2)
        norm.moving_mean.assign(0 * norm.moving_mean)
    return model


CONSERVING = [  # z+ loses the relevance of a neuron behind silu that has no positive contribution
    *((name, {"rule": "0"}) for name in NETWORKS),
    *((name, {"composite": "epsilon_plus"}) for name in NETWORKS if name != "EfficientNetB0"),
    *((name, {"composite": "epsilon_gamma_box"}) for name in NETWORKS),
]


@pytest.mark.parametrize(("name", "settings"), CONSERVING)
def test_relevance_is_conserved_without_biases(name, settings):
    model = calibrated(name, biases=False)
    images = pictures(model)
    before = [weight.numpy().tobytes() for weight in model.weights]
    e = kam.explain(model, images, "lrp", **settings)
    logits = model.predict(images, verbose=0)
    missing = np.abs(e.maps.sum((1, 2)) - logits[np.arange(len(images)), e.targets])
    np.testing.assert_array_less(missing, 1e-2 * np.abs(e.scores))
    np.testing.assert_allclose(np.abs(e.residual), missing, atol=1e-5 * np.abs(e.scores).max())
    assert [weight.numpy().tobytes() for weight in model.weights] == before


@pytest.mark.parametrize("name", NETWORKS)
def test_deeplift_sums_to_the_difference_in_score(name):
    model = calibrated(name, biases=True)
    images = pictures(model)
    e = kam.explain(model, images, "deeplift")
    rows = np.arange(len(images))
    difference = (model.predict(images, verbose=0) - model.predict(0 * images, verbose=0))[rows, e.targets]
    missing = np.abs(e.maps.sum((1, 2)) - difference)
    rounding = 4 * np.finfo("float32").eps * np.abs(e.scores)  # of the difference between two scores
    np.testing.assert_array_less(missing, 1e-2 * np.minimum(np.abs(difference), np.abs(e.scores)) + rounding)
    folding = 2e-5 * np.abs(e.scores).max()  # rounding: the residual is of folded passes, the scores above are not
    np.testing.assert_allclose(np.abs(e.residual), missing, atol=folding)


@pytest.mark.parametrize("name", [*NETWORKS, "ResNet50V2", "DenseNet121"])
def test_folding_batch_normalization_keeps_the_outputs(name):
    model = randomised(network.__wrapped__(name))
    images = pictures(model)
    traced = kam.Probe(model)
    graph = linearize(traced.graph)
    outputs = array(traced.run_to_outputs(graph.nodes, {graph.inputs[0]: images}))
    expected = model.predict(images, verbose=0)
    assert np.abs(outputs - expected).max() <= 1e-4 * np.abs(expected).max()
    types = [type(node.operation).__name__ for node in graph.nodes]
    assert (types.count("BatchNormalization") == 0) == (name not in ("ResNet50V2", "DenseNet121"))
