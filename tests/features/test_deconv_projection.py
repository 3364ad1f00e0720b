"""Projections against a deconvolutional network written out in NumPy, with the switches of max pooling."""

import keras
import numpy as np
import pytest
from helpers import randomised
from keras import layers

import keras_actmaps as kam
from keras_actmaps.features.deconv_projection import deconv_projections, receptive_fields
from keras_actmaps.features.exemplars import fetch_images

SHAPE = (9, 11, 2)


def network(activation="relu"):
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 2, activation=activation, name="conv1")(inputs)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Conv2D(3, 2, activation=activation, name="conv2")(x)
    return randomised(keras.Model(inputs, layers.Dense(2, name="logits")(layers.GlobalAveragePooling2D()(x))))


def pictures(count=12):
    return np.random.default_rng(3).normal(size=(count, *SHAPE)).astype("float32")


def convolved(image, kernel, bias):
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape[:2], axis=(0, 1))
    return np.einsum("yxcij,ijck->yxk", windows, kernel) + bias


def convolved_back(outputs, kernel, shape):
    image = np.zeros(shape)
    for y, x in np.ndindex(outputs.shape[:2]):
        image[y : y + kernel.shape[0], x : x + kernel.shape[1]] += kernel @ outputs[y, x]
    return image


def unpooled(outputs, before):
    """Each value at the place of the maximum of its window of 2x2 places."""
    image = np.zeros_like(before)
    for y, x, c in np.ndindex(outputs.shape):
        window = before[2 * y : 2 * y + 2, 2 * x : 2 * x + 2, c]
        row, column = np.unravel_index(window.argmax(), (2, 2))
        image[2 * y + row, 2 * x + column, c] = outputs[y, x, c]
    return image


def relu(values):
    return np.maximum(values, 0)


def deconvolved(model, image, channel, place=None):
    """Zeiler & Fergus 2014, section 2.1: unpool, rectify, filter; from one unit, or from all of the channel."""
    (first, bias1), (second, bias2) = (model.get_layer(name).get_weights() for name in ("conv1", "conv2"))
    one = relu(convolved(image, first, bias1))
    two = one[:8, :10].reshape(4, 2, 5, 2, 4).max((1, 3))
    three = relu(convolved(two, second, bias2))
    seed = np.zeros_like(three)
    where = (..., channel) if place is None else (*place, channel)
    seed[where] = three[where]
    back = convolved_back(relu(seed), second, two.shape)
    return convolved_back(relu(unpooled(back, one)), first, SHAPE)


@pytest.mark.parametrize("reduce", ["max", "mean"])
def test_projections_are_those_of_a_deconvolutional_network_in_numpy(reduce):
    model, images = network(), pictures()
    found = kam.exemplars(model, images, "conv2", k=4, reduce=reduce)
    maps = deconv_projections(model, found, images[found.indices], batch_size=5)
    for row, channel in enumerate(found.channels):
        for column, index in enumerate(found.indices[row]):
            place = None if found.places is None else found.places[row, column]
            expected = deconvolved(model, images[index], channel, place)
            np.testing.assert_allclose(maps[row, column], expected, atol=1e-4 * np.abs(expected).max())
            assert np.abs(expected).max() > 0


def test_the_projection_of_a_convolution_without_relu_is_the_kernel_times_the_activation():
    model, images = network(activation=None), pictures()
    found = kam.exemplars(model, images, "conv1", k=3)
    kernel, _ = model.get_layer("conv1").get_weights()
    maps = deconv_projections(model, found, images[found.indices])
    for row, fields in enumerate(receptive_fields(model, found, SHAPE[:2])):
        for column, box in enumerate(fields):
            expected = np.zeros(SHAPE)
            expected[box] = kernel[..., row] * found.scores[row, column]
            np.testing.assert_allclose(maps[row, column], expected, atol=1e-5)


@pytest.mark.parametrize("layer", ["conv1", "pool", "conv2"])
def test_projections_are_zero_outside_the_receptive_field(layer):
    model, images = network(), pictures()
    found = kam.exemplars(model, images, layer, k=3)
    maps = deconv_projections(model, found, fetch_images(model, images, found.indices)[0])
    for row, fields in zip(maps, receptive_fields(model, found, SHAPE[:2])):
        for one, box in zip(row, fields):
            assert np.abs(one[box]).max() > 0
            one[box] = 0
            assert not one.any()


def test_the_receptive_field_of_a_mean_and_of_a_dense_unit_is_the_whole_image():
    model, images = network(), pictures()
    for layer, reduce in (("conv1", "mean"), ("logits", "max")):
        found = kam.exemplars(model, images, layer, k=2, reduce=reduce)
        whole = (slice(0, 9), slice(0, 11))
        assert receptive_fields(model, found, SHAPE[:2]) == [[whole] * 2 for _ in found.channels]
        assert deconv_projections(model, found, images[found.indices]).shape == (len(found), 2, *SHAPE)


def test_images_in_another_order_are_an_error():
    model, images = network(), pictures()
    found = kam.exemplars(model, images, "conv2", k=3)
    again, _ = fetch_images(model, images[::-1], found.indices)
    first = found.indices[0, 0]
    with pytest.raises(ValueError, match=rf"image {first} has score .* for channel 0, not .*; is the dataset shuffled"):
        deconv_projections(model, found, again)


def test_other_activations_than_relu_are_an_error():
    model, images = network(activation="silu"), pictures()
    found = kam.exemplars(model, images, "conv2", k=2)
    model.get_layer("conv2").activation = keras.activations.relu
    found = kam.exemplars(model, images, "conv1", k=2)
    with pytest.raises(ValueError, match=r"deconvolutional network changes the gradient of ReLU, and .* silu"):
        deconv_projections(model, found, images[found.indices])
