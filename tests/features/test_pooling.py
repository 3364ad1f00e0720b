"""Pooled features against NumPy; convolutions against Keras' own and by their reach."""

import keras
import numpy as np
import pytest
from helpers import gap_network, randomised
from keras import layers

import keras_actmaps as kam


def blocks(features, pool):
    """(N,h,w,K) -> (N,h//p,p,w//p,p,K), without rows and columns that fill no window."""
    count, height, width, channels = features.shape
    rows, columns = height // pool, width // pool
    return features[:, : rows * pool, : columns * pool].reshape(count, rows, pool, columns, pool, channels)


@pytest.mark.parametrize("pool", [1, 2, 3, 5])
@pytest.mark.parametrize("kernel_size, layer", [(3, None), (None, "conv1"), (None, "features")])
def test_both_pools_are_those_of_numpy(images, pool, kernel_size, layer):
    (found,) = kam.pooling(gap_network(), images, layer, kernel_size, pool=pool)
    windows = blocks(found.before, pool)
    assert found.before.min() == 0 < found.before.max()
    np.testing.assert_array_equal(found.maximum, windows.max((2, 4)))
    np.testing.assert_allclose(found.average, windows.mean((2, 4)), rtol=1e-5, atol=1e-6)


def batch_normalized(relu: str) -> keras.Model:
    """A 1x1 convolution, one with batch normalisation and a ReLU, one with a branch, one with a ReLU of its own."""
    images = keras.Input((12, 16, 3))
    x = layers.Conv2D(3, 1, name="mix")(images)
    x = layers.Conv2D(5, 3, name="conv1")(x)
    x = layers.BatchNormalization(name="norm1")(x)
    x = layers.Activation(relu, name="relu1")(x)
    x = layers.Conv2D(4, 3, name="conv2")(x)
    x = layers.Add()([layers.ReLU()(layers.BatchNormalization()(x)), x])
    x = layers.Conv2D(4, 3, activation="relu", name="conv3")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return randomised(keras.Model(images, layers.GlobalMaxPooling2D()(x), name="batch_normalized"))


def test_the_relu_is_the_one_that_follows_in_the_model(images):
    model = batch_normalized("relu")
    (found,) = kam.pooling(model, images)  # which skips the 1x1 convolution
    behind = keras.Model(model.inputs, model.get_layer("relu1").output).predict(images, verbose=0)
    assert found.name == "conv1 (3×3) + ReLU"
    np.testing.assert_allclose(found.before, behind, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("relu, layer", [("silu", "conv1"), ("relu", "conv2"), ("relu", "conv3"), ("relu", "mix")])
def test_a_relu_is_added_to_a_convolution_that_has_none(images, relu, layer):
    model = batch_normalized(relu)
    (found,) = kam.pooling(model, images, layer)
    convolved = keras.Model(model.inputs, model.get_layer(layer).output).predict(images, verbose=0)
    np.testing.assert_allclose(found.before, np.maximum(convolved, 0), rtol=1e-5, atol=1e-6)


def test_several_layers_of_a_model_are_consecutive_convolutions(images):
    first, second = kam.pooling(gap_network(), images, layers=2)
    for found, layer in ((first, "conv1"), (second, "features")):
        assert found.name == f"{layer} (3×3) + ReLU"
        np.testing.assert_array_equal(found.before, kam.feature_maps(gap_network(), images, layer)[layer])


@pytest.mark.parametrize("size", [1, 3, 4, 5])
def test_a_random_kernel_reaches_as_far_as_its_size(size):
    dark, dot = np.zeros((1, 11, 13, 2), "float32"), np.zeros((1, 11, 13, 2), "float32")
    dot[0, 5, 6] = 1
    (found,) = kam.pooling(None, dot, kernel_size=size, filters=64)
    reached = np.argwhere(found.before[0].any(-1))
    assert (np.ptp(reached, axis=0) + 1).tolist() == [size, size] and found.before.shape == (1, 11, 13, 64)
    assert not kam.pooling(None, dark, kernel_size=size)[0].before.any()


def test_random_kernels_have_he_initialization():
    dot = np.zeros((1, 7, 7, 4), "float32")
    dot[0, 3, 3] = 1  # sums the kernel over 4 channels: variance 4 * 2 / (3 * 3 * 4), of which ReLU keeps one half
    (found,) = kam.pooling(None, dot, kernel_size=3, filters=4000)
    kept = (found.before[0, 2:5, 2:5] ** 2).mean()
    assert abs(kept * 9 - 1) < 5 * np.sqrt(5 / 36000)  # the variance of max(x, 0)^2 is 5/4 that of x squared


def test_random_layers_take_the_max_pooled_features():
    image = np.random.default_rng(0).random((1, 8, 8, 1), "float32")
    # One filter of one pixel multiplies; a seed with two positive weights keeps everything.
    seed = next(seed for seed in range(99) if kam.pooling(None, image, None, 1, 2, 2, 1, seed)[1].maximum.any())
    first, second = kam.pooling(None, image, None, 1, layers=2, filters=1, seed=seed)
    ratio = second.before / blocks(first.before, 2).max((2, 4))
    np.testing.assert_allclose(ratio, ratio[0, 0, 0, 0], rtol=1e-5)
    assert [found.name for found in (first, second)] == [f"random convolution {n} (1×1) + ReLU" for n in (1, 2)]


def test_several_kernel_sizes_and_seeds(images):
    found = kam.pooling(None, images, kernel_size=[3, 5], layers=2, seed=7)
    assert [block.name.split()[3] for block in found] == ["(3×3)", "(3×3)", "(5×5)", "(5×5)"]
    again, other = (kam.pooling(None, images, kernel_size=5, layers=2, seed=seed) for seed in (7, 8))
    np.testing.assert_array_equal(found[3].average, again[1].average)
    assert np.abs(again[0].before - other[0].before).max() > 0.1


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"kernel_size": 13}, r"kernel_size=13 is larger than the images, 12×16 pixels"),
        ({"kernel_size": [3, 7], "layers": 2}, r"kernel_size=7 is larger than the pooled features of layer 1, 6×8"),
        ({"kernel_size": 3, "pool": 20}, r"pool=20 is larger than the images, 12×16 pixels"),
        ({"pool": 13}, r"pool=13 is larger than the features of conv1 \(3×3\) \+ ReLU, 12×16"),
        ({"kernel_size": 0}, r"kernel_size must be an integer >= 1 .*, got 0"),
        ({"kernel_size": ()}, r"kernel_size must have at least one size, got \(\)"),
        ({"kernel_size": "3"}, r"kernel_size must be an integer >= 1 .*, got '3'"),
        ({"layers": 3}, r"layers must be at most 2, the convolutions from 'conv1' on, got 3"),
        ({"layers": 0}, r"layers must be an integer >= 1 .*, got 0"),
        ({"filters": 1.5}, r"filters must be an integer >= 1 .*, got 1.5"),
        ({"seed": -1}, r"seed must be an integer >= 0 .*, got -1"),
        ({"layer": "pool1"}, r"layer 'pool1' is not a convolution; choices: conv1, features"),
        ({"layer": "nope"}, r"no layer or type 'nope' in 'gap_network'"),
        (
            {"layer": "conv1", "kernel_size": 3},
            r"layer='conv1' is of the model and kernel_size=3 of random convolutions; pass one",
        ),
    ],
)
def test_invalid_settings_are_one_line(images, settings, message):
    with pytest.raises(ValueError, match=message):
        kam.pooling(gap_network(), images, **settings)


def test_inputs_that_are_not_images_are_one_line():
    with pytest.raises(ValueError, match=r"images must be numbers of shape \(N, H, W, C\), got shape \(8, 8, 3\)"):
        kam.pooling(None, np.zeros((8, 8, 3)))
    flat = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"no layer or type 'conv' in"):
        kam.pooling(flat, np.zeros((1, 8, 8, 3)))
    series = keras.Sequential([keras.Input((9, 4)), layers.Conv1D(5, 3), layers.Flatten()])
    with pytest.raises(ValueError, match=r"images must be numbers of shape \(N, H, W, C\), got shape \(1, 9, 4\)"):
        kam.pooling(series, np.zeros((1, 9, 4)))
