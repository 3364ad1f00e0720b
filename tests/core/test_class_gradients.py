"""Gradients of several classes are those of each class alone, whatever is propagated together."""

import keras
import numpy as np
import pytest
from helpers import gap_network, randomised
from keras import layers, ops

import keras_actmaps as kam
from keras_actmaps import backend
from keras_actmaps.core import class_gradients

FAMILY = ["gradcam", "gradcam_plus_plus", "hirescam", "layercam", "xgradcam"]


def deep_head() -> keras.Model:
    """Convolutions, pooling and two dense layers behind the features."""
    inputs = keras.Input((12, 16, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="features")(inputs)
    x = layers.BatchNormalization()(layers.Conv2D(5, 3, strides=2)(x))
    x = layers.MaxPooling2D()(layers.Activation("elu")(x))
    x = layers.Dense(7, activation="tanh")(layers.Flatten()(x))
    return randomised(keras.Model(inputs, layers.Dense(5, activation="softmax")(x)))


def binary() -> keras.Model:
    """A single sigmoid behind global average pooling, the Jacobian of which has two rows."""
    inputs = keras.Input((12, 16, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="features")(inputs)
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return randomised(keras.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.Flatten()(x))))


NETWORKS = {"deep": deep_head(), "linear": gap_network(activation="softmax"), "binary": binary()}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(4).random((3, 12, 16, 3), "float32")


@pytest.mark.parametrize("method", FAMILY)
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("largest", [2**24, 3000, 1], ids=["together", "in blocks", "one by one"])
def test_maps_of_several_classes_are_those_of_each(images, method, name, largest, monkeypatch):
    if largest != 2**24 and (name != "deep" or method not in FAMILY[:3]):
        pytest.skip("one network and three methods suffice")
    model = NETWORKS[name]
    monkeypatch.setattr(class_gradients, "LARGEST", largest)
    together = kam.explain(kam.Probe(model, "features"), images, method, targets="all")
    alone = [kam.explain(model, images, method, c, layer="features") for c in range(together.maps.shape[1])]
    expected = np.stack([e.maps for e in alone], axis=1)
    assert expected.max() > 0
    np.testing.assert_allclose(together.maps, expected, atol=2e-6 * expected.max())
    np.testing.assert_allclose(together.scores, np.stack([e.scores for e in alone], 1), rtol=1e-5, atol=1e-6)


def test_each_input_has_its_own_classes(images):
    targets = np.array([[4, 0], [1, 1], [2, 3]])
    every = kam.explain(NETWORKS["deep"], images, "gradcam", targets="all", layer="features").maps
    chosen = kam.explain(NETWORKS["deep"], images, "gradcam", targets=targets, layer="features").maps
    np.testing.assert_allclose(chosen, np.take_along_axis(every, targets[..., None, None], 1), atol=1e-6 * every.max())


def test_batched_gradients_are_the_jacobian():
    x = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")
    matrix = ops.convert_to_tensor(np.random.default_rng(1).normal(size=(3, 4)).astype("float32"))
    cotangents = np.random.default_rng(2).normal(size=(5, 2, 4)).astype("float32")

    def program(x, cotangents):
        scores, backward = backend.batched_gradients(lambda x: ops.matmul(x**2, matrix), [x])
        return scores, backward(cotangents)[0]

    scores, gradients = map(backend.to_numpy, backend.CompiledFunction(program)(x, cotangents))
    table = backend.to_numpy(matrix)
    np.testing.assert_allclose(scores, x**2 @ table, rtol=1e-5)
    np.testing.assert_allclose(gradients, 2 * x * np.einsum("bnc,ic->bni", cotangents, table), rtol=1e-4, atol=1e-5)


def test_scores_without_a_gradient_are_an_error():
    def program(x):
        return backend.batched_gradients(lambda x: ops.sign(ops.stop_gradient(x)), [x])[1](ops.ones((2, *x.shape)))

    with pytest.raises(ValueError, match="does not depend on the input through operations that have a gradient"):
        backend.CompiledFunction(program)(np.ones((2, 3), "float32"))
