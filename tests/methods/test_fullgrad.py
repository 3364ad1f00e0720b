"""FullGrad by its completeness, by gradients at the biases themselves, and by hand."""

import keras
import numpy as np
import pytest
from helpers import array, gap_network, randomised
from helpers.random_networks import Builder
from keras import layers, ops

import keras_actmaps as kam
from keras_actmaps import backend


def shared_network(activation="relu"):
    """BatchNorm before and after convolutions, a convolution that is called twice, and a gate."""
    inputs = keras.Input((9, 8, 2))
    shared = layers.Conv2D(4, 3, padding="same", activation=activation)
    x = layers.Rescaling(2.0, offset=-0.4)(inputs)
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x))
    x = shared(shared(layers.Activation(activation)(x)))
    x = layers.Conv2D(4, 3, padding="same", strides=2)(layers.BatchNormalization()(x))
    gate = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))
    x = layers.MaxPooling2D(2, padding="same")(x * layers.Reshape((1, 1, 4))(gate)) + 0.3
    x = layers.Dense(6, activation=activation)(layers.Flatten()(x))
    return randomised(keras.Model(inputs, layers.Dense(3, activation="softmax")(x)))


@pytest.mark.parametrize("activation", ["relu", "relu6", "silu"])
def test_the_map_sums_to_the_logit(activation):
    model = shared_network(activation)
    images = np.random.default_rng(0).normal(size=(3, 9, 8, 2)).astype("float32")
    e = kam.explain(model, images, "fullgrad", targets=[0, 1, 2])
    model.layers[-1].activation = keras.activations.linear
    logits = np.diag(array(model(images)))
    np.testing.assert_allclose(e.scores, logits, rtol=1e-4, atol=3e-6)
    np.testing.assert_allclose(e.maps.sum((1, 2)), logits, rtol=1e-4, atol=3e-6)
    np.testing.assert_allclose(e.residual, 0, atol=1e-4 * np.abs(logits).max())


@pytest.mark.parametrize("seed", range(4))
def test_random_networks_are_complete(seed):
    """Layer and group normalization, gates, transposed and separable convolutions, 1 to 3 spatial axes."""
    model = randomised(Builder(seed, is_mirror=False).network(), seed)
    images = np.random.default_rng(seed).normal(size=(2, *model.input_shape[1:])).astype("float32")
    e = kam.explain(model, images, "fullgrad", targets=1)
    scores = array(model(images))[:, 1]
    np.testing.assert_allclose(e.maps.reshape(2, -1).sum(1), scores, atol=1e-4 * np.abs(scores).max())


def test_terms_are_biases_times_their_gradients(images):
    """The gradients at tensors of biases, which are added at each position."""
    model, side = gap_network(images.shape[1:]), images.shape[1:3]
    kernels, biases = model.get_weights()[::2], model.get_weights()[1::2]

    def scores(x, *biases):
        x = ops.relu(ops.conv(x, kernels[0], padding="same") + biases[0])
        x = ops.relu(ops.conv(layers.MaxPooling2D()(x), kernels[1], padding="same") + biases[1])
        outputs = ops.matmul(ops.mean(x, axis=(1, 2)), kernels[2]) + biases[2]
        return outputs[:, 2], outputs

    shapes = [(*side, 6), (side[0] // 2, side[1] // 2, 8), (4,)]
    spread = [np.zeros((len(images), *shape), "float32") + bias for shape, bias in zip(shapes, biases)]
    gradients, _ = backend.gradients(scores, list(map(ops.convert_to_tensor, (images, *spread))))
    at_input, first, second, dense = (array(part) * x for part, x in zip(gradients, (images, *spread)))

    def large(term):
        return array(ops.image.resize(term.sum(-1)[..., None], side, "bilinear"))[..., 0]

    signed = at_input.sum(-1) + first.sum(-1) + large(second) / 4 + dense.sum(-1)[:, None, None] / np.prod(side)
    e = kam.explain(model, images, "fullgrad", targets=2)
    np.testing.assert_allclose(e.maps, signed, atol=1e-5 * np.abs(signed).max())

    def rescaled(term):
        term = np.abs(term)
        low, high = (end(term, axis=(1, 2, 3), keepdims=True) for end in (np.min, np.max))
        return (term - low) / (high - low)

    expected = rescaled(at_input).sum(-1) + rescaled(first).sum(-1) + large(rescaled(second))
    e = kam.explain(model, images, "fullgrad", targets=2, postprocess="rescale")
    np.testing.assert_allclose(e.maps, expected, rtol=1e-3, atol=1e-4)
    assert e.residual is None


def test_biases_of_a_table_are_distributed_evenly():
    """2 relu(x1 + 0.5) - relu(x2 - 3) + 7 at (1, 2): 2 + 0, and a share of 1 + 7."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layers.Dense(1)(layers.Dense(2, activation="relu")(inputs)))
    model.set_weights([np.eye(2), np.array([0.5, -3]), np.array([[2.0], [-1]]), np.array([7.0])])
    e = kam.explain(model, np.array([[1, 2]], "float32"), "fullgrad", targets=0)
    np.testing.assert_allclose(e.maps, [[2 + 4, 0 + 4]], rtol=1e-6)
