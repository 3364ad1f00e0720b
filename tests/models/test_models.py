"""Models: their layers, the preprocessing and weights of backbones, and the conversion of GAP to a 1x1 convolution."""

import keras
import numpy as np
import pytest
from helpers import gap_network, randomised
from keras import layers

from keras_actmaps import models


@pytest.mark.parametrize("name, places", [("grid_cnn", (14, 14)), ("cifar_cnn", (8, 8)), ("pets_cnn", (8, 8))])
def test_class_maps_averaged_over_space_are_the_logits(name, places):
    model = randomised(models.MODELS[name]())
    images = np.random.default_rng(0).random((2, *model.input_shape[1:]), "float32")
    convolutional = models.to_convolutional(model)
    maps = convolutional.predict(images, verbose=0)
    assert maps.shape == (2, *places, model.output_shape[-1])
    np.testing.assert_allclose(maps.mean((1, 2)), model.predict(images, verbose=0), atol=1e-5)
    assert model.layers[-1].name == "logits" and model.get_layer("features").output.shape[1:3] == places
    assert convolutional.get_layer("features") is model.get_layer("features")


def test_grid_cnn_has_three_convolutions():
    found = [
        (layer.filters, layer.kernel_size, layer.padding, layer.activation.__name__)
        for layer in models.grid_cnn().layers
        if isinstance(layer, layers.Conv2D)
    ]
    assert found == [(filters, (3, 3), "same", "relu") for filters in (32, 64, 128)]


def test_to_convolutional_skips_softmax_and_dropout_and_accepts_a_nested_backbone():
    backbone = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3)])
    inputs = keras.Input((8, 8, 3))
    pooled = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(backbone(inputs)))
    model = randomised(keras.Model(inputs, layers.Softmax()(layers.Dense(3)(pooled))))
    images = np.random.default_rng(0).random((2, 8, 8, 3), "float32")
    means = models.to_convolutional(model).predict(images, verbose=0).mean((1, 2))
    exponents = np.exp(means - means.max(1, keepdims=True))
    np.testing.assert_allclose(exponents / exponents.sum(1, keepdims=True), model.predict(images, verbose=0), atol=1e-5)
    flat = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ValueError, match="does not end in GlobalAveragePooling2D and Dense"):
        models.to_convolutional(flat)


@pytest.mark.parametrize("name", ["ResNet50", "DenseNet121", "MobileNetV2", "EfficientNetB0"])
def test_a_backbone_preprocesses_its_inputs(name):
    applications = keras.applications
    preprocess = {
        "ResNet50": applications.resnet50.preprocess_input,
        "DenseNet121": applications.densenet.preprocess_input,
        "MobileNetV2": applications.mobilenet_v2.preprocess_input,
        "EfficientNetB0": applications.efficientnet.preprocess_input,
    }[name]
    model = models.backbone(name, image_shape=(64, 64, 3), classes=5, maximum=1.0)
    prepared = keras.Model(model.inputs, model.get_layer("preprocess").output)
    images = np.random.default_rng(0).random((2, 64, 64, 3), "float32")
    np.testing.assert_allclose(prepared.predict(images, verbose=0), preprocess(255 * images), rtol=1e-4, atol=1e-3)
    assert model.get_layer("features").output.shape[1:3] == (2, 2)
    assert model.output_shape == (None, 5)


def test_squeezenet_is_version_1_1():
    model = models.backbone("squeezenet")
    assert model.count_params() - model.get_layer("preprocess").count_params() == 1_235_496
    assert model.get_layer("fire9_concat").output.shape == (None, 13, 13, 512)
    blue = np.zeros((1, 1, 1, 3), "float32")
    blue[..., 2] = 255
    prepared = model.get_layer("preprocess")(blue)[0, 0, 0]
    np.testing.assert_allclose(prepared, [255 - 103.939, -116.779, -123.68], atol=1e-3)


def test_weights_are_loaded_by_layer_and_variable(tmp_path):
    source, target = gap_network(), gap_network()
    source.set_weights([weight + 1 for weight in source.get_weights()])
    arrays = {f"{layer.name}/{v.name}": v.numpy() for layer in source.layers for v in layer.weights}
    np.savez(tmp_path / "weights.npz", **arrays, other=np.ones(3))
    models.load_weights(target, tmp_path / "weights.npz")
    for one, two in zip(source.get_weights(), target.get_weights()):
        np.testing.assert_array_equal(one, two)
    del arrays["conv1/bias"]
    np.savez(tmp_path / "part.npz", **arrays)
    with pytest.raises(ValueError, match=r"part.npz' do not fit 'gap_network': .*conv1/bias"):
        models.load_weights(target, tmp_path / "part.npz")
    for name in ("text.npz", "text.weights.h5", "text.h5"):
        (tmp_path / name).write_text("no archive")
        with pytest.raises(ValueError, match=rf"{name}' do not fit"):
            models.load_weights(target, tmp_path / name)


def test_imagenet_weights_that_cannot_be_downloaded_raise_one_line(monkeypatch):
    def offline(*_, **__):
        raise Exception("URL fetch failure on https://...: None -- refused")

    monkeypatch.setattr(keras.applications, "MobileNet", lambda weights=None, **_: offline())
    monkeypatch.setattr(keras.applications.imagenet_utils, "decode_predictions", offline)
    with pytest.raises(
        OSError, match=r"weights of MobileNet could not be downloaded \(URL fetch failure .*pass a file"
    ):
        models.backbone("MobileNet", "imagenet")
    assert models.imagenet_classes() == ()


@pytest.mark.parametrize(
    "name, weights, error, message",
    [
        ("nope", None, ValueError, "backbone must be one of squeezenet, ConvNeXt.*, got 'nope'"),
        ("mobilenet:beta=1", None, ValueError, "MobileNet has no setting 'beta'"),
        ("mobilenet:alpha=big", None, ValueError, "settings of a backbone must be numbers.*, got 'alpha=big'"),
        ("mobilenet:alpha=NaN", None, ValueError, "settings of a backbone must be numbers.*, got 'alpha=NaN'"),
        ("mobilenet:weights=1", None, ValueError, "MobileNet has no setting 'weights'"),
        ("mobilenet:alpha=-1", None, ValueError, "MobileNet cannot be built: "),
        ("squeezenet", "imagenet", ValueError, "squeezenet has no ImageNet weights to download"),
        ("squeezenet", "absent.npz", FileNotFoundError, "no weights file 'absent.npz'"),
    ],
)
def test_bad_backbones_raise_one_line(name, weights, error, message):
    with pytest.raises(error, match=message):
        models.backbone(name, weights)


@pytest.mark.parametrize("settings", [{"classes": 0}, {"classes": "x"}, {"maximum": 0}, {"maximum": float("nan")}])
def test_bad_settings_of_a_backbone_raise_one_line(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=f"{name} must be .*, got "):
        models.backbone("squeezenet", **settings)
