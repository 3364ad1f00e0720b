"""From pixels to inputs, and the range that a model expects, against models whose range is known."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_actmaps.models.class_names import read_class_names
from keras_actmaps.models.preprocessing import RANGES, guess, misfit_warning, of_application

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3), "uint8")


def network(*first, shape=(16, 16, 3)):
    images = x = keras.Input(shape)
    for layer in first:
        x = layer(x)
    x = layers.Conv2D(4, 3, activation="relu")(x)
    return keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def nested(*first):
    return network(network_of(*first))


def network_of(*first):
    images = x = keras.Input((16, 16, 3))
    for layer in first:
        x = layer(x)
    return keras.Model(images, layers.Conv2D(3, 1, activation="relu")(x))


def normalization(low, high):
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(0).uniform(low, high, (50, 4, 4, 3)).astype("float32"))
    return layer


def batch_normalization(mean, variance):
    layer = layers.BatchNormalization()
    layer.build((None, 16, 16, 3))
    layer.set_weights([np.ones(3), np.zeros(3), np.full(3, mean), np.full(3, variance)])
    return layer


@pytest.mark.parametrize("name", ["mobilenet_v2", "vgg16", "resnet", "densenet", "efficientnet"])
def test_the_preprocessing_of_keras_applications_and_back(name):
    chosen = of_application(name)
    expected = getattr(keras.applications, name).preprocess_input(PIXELS.astype("float32"))
    np.testing.assert_allclose(chosen.encode(PIXELS), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(chosen.decode(expected), PIXELS)
    assert chosen.bounds[0] <= expected.min() and expected.max() <= chosen.bounds[1]


def test_ranges_and_back():
    for name, low, high in (("0-1", 0, 1), ("0-255", 0, 255), ("-1-1", -1, 1)):
        assert RANGES[name].bounds == (low, high)
        expected = low + PIXELS / 255 * (high - low)
        np.testing.assert_allclose(RANGES[name].encode(PIXELS), expected, atol=1e-6)
        np.testing.assert_array_equal(RANGES[name].decode(RANGES[name].encode(PIXELS)), PIXELS)
    with pytest.raises(ValueError, match="preprocessing 'vgg16' is of color images"):
        of_application("vgg16").encode(PIXELS[..., :1])
    with pytest.raises(ValueError, match=r"preprocess must be one of convnext, densenet, .*, got 'nope'"):
        of_application("nope")


class Halved(layers.Layer):
    """A subclassed layer that rescales."""

    def call(self, x):
        return x / 127.5 - 1


@pytest.mark.parametrize(
    "name, make",
    [
        ("0-255", lambda: network(layers.Rescaling(1 / 255))),
        ("0-255", lambda: network(layers.RandomFlip(), layers.Resizing(8, 8), layers.Rescaling(1 / 127.5, -1))),
        (
            "0-255",
            lambda: network(layers.ZeroPadding2D(), layers.Identity(), layers.Dropout(0.5), layers.Rescaling(0.01)),
        ),
        ("0-255", lambda: nested(layers.Rescaling(1 / 255))),
        ("0-255", lambda: nested(layers.Identity(), normalization(0, 255))),
        ("0-255", lambda: network(Halved())),
        ("0-255", lambda: network(lambda x: keras.applications.vgg16.preprocess_input(x))),
        ("0-255", lambda: network(lambda x: keras.applications.mobilenet_v2.preprocess_input(x))),
        ("0-255", lambda: network(batch_normalization(120, 5000))),
        ("0-255", lambda: network(layers.Rescaling(1 / 255), shape=(None, None, 1))),
        ("0-255", lambda: keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3), classes=3)),
        ("0-1", lambda: network(normalization(0, 1))),
        ("0-1", lambda: network(batch_normalization(0.45, 0.07))),
        ("0-1", lambda: network(layers.Rescaling(2, -1))),
        ("0-1", lambda: network(lambda x: keras.applications.vgg16.preprocess_input(255 * x))),
        ("-1-1", lambda: network(normalization(-1, 1))),
    ],
)
def test_the_range_is_found_through_the_whole_graph(name, make):
    model = make()
    found, reason = guess(model)
    low, high = RANGES[name].bounds
    assert found.name == name
    assert reason == f"the model preprocesses its inputs, so images are passed in {low:.0f}..{high:.0f}"
    assert misfit_warning(model, found) == ""


@pytest.mark.parametrize("wrap", [False, True])
def test_a_network_of_keras_applications_gets_its_own_preprocessing(wrap):
    for build, module in (
        (keras.applications.MobileNetV2, "mobilenet_v2"),
        (keras.applications.ResNet50V2, "resnet_v2"),
    ):
        model = build(weights=None, include_top=not wrap, input_shape=(32, 32, 3))
        model = (
            keras.Sequential([keras.Input((32, 32, 3)), model, layers.Flatten(), layers.Dense(2)]) if wrap else model
        )
        found, reason = guess(model)
        assert found.name == module and f"(--preprocess {module})" in reason and "without its preprocessing" in reason


def test_without_preprocessing_the_range_is_a_guess_and_that_is_said():
    for model in (network(), network(layers.RandomFlip(), layers.Identity()), network(layers.BatchNormalization())):
        found, reason = guess(model)
        assert found.name == "0-1" and reason.startswith("no preprocessing is found in the model")
        assert misfit_warning(model, RANGES["0-255"]) == ""


def test_images_that_are_rescaled_twice_or_not_enough_are_warned_of():
    rescaled, normalized = network(layers.Rescaling(1 / 255)), network(normalization(0, 1))
    for model, given, fits in (
        (rescaled, RANGES["0-1"], "0-255"),
        (rescaled, of_application("mobilenet_v2"), "0-255"),
        (normalized, RANGES["0-255"], "0-1"),
        (normalized, of_application("vgg16"), "0-1"),
    ):
        warning = misfit_warning(model, given)
        assert warning.startswith(f"the images are passed as {given.name}, but the first layers of")
        assert warning.endswith(f"; --scale {fits} would fit")


@pytest.mark.parametrize(
    "text",
    [
        "cat\ndog\nowl\n\n",
        "\ufeffcat\r\ndog\r\nowl",
        '["cat", "dog", "owl"]',
        '{"0": "cat", "2": "owl", "1": "dog"}',
        '{"cat": 0, "dog": 1, "owl": 2}',
        '{"0": ["n1", "cat"], "1": ["n2", "dog"], "2": ["n3", "owl"]}',
    ],
)
def test_class_names_from_a_file(tmp_path, text):
    (tmp_path / "names").write_text(text, encoding="utf-8")
    assert read_class_names(tmp_path / "names") == ("cat", "dog", "owl")


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "{", "[1, 2]", '{"0": "cat", "2": "owl"}', '{"cat": "x"}', '{"0": []}', "[" * 100_000, '[["a"]]'],
)
def test_a_file_without_class_names_is_one_error(tmp_path, text):
    (tmp_path / "names").write_text(text)
    with pytest.raises(ValueError, match=r"names' contains no (class )?names"):
        read_class_names(tmp_path / "names")
