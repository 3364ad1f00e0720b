"""The models: layers as the projects have them, preprocessing and weights of backbones, GAP -> 1x1 convolution."""

import keras
import numpy as np
import pytest
from helpers import gap_network, randomised
from keras import layers

from keras_actmaps.models import zoo


@pytest.mark.parametrize("name, places", [("grid_cnn", (14, 14)), ("cifar_cnn", (8, 8)), ("pets_cnn", (8, 8))])
def test_class_maps_averaged_over_space_are_the_logits(name, places):
    model = randomised(zoo.MODELS[name]())
    images = np.random.default_rng(0).random((2, *model.input_shape[1:]), "float32")
    convolutional = zoo.to_convolutional(model)
    maps = convolutional.predict(images, verbose=0)
    assert maps.shape == (2, *places, model.output_shape[-1])
    np.testing.assert_allclose(maps.mean((1, 2)), model.predict(images, verbose=0), atol=1e-5)
    assert model.layers[-1].name == "logits" and model.get_layer("features").output.shape[1:3] == places
    assert convolutional.get_layer("features") is model.get_layer("features")


def test_grid_cnn_is_the_network_of_the_project():
    kinds = [(layer.filters, layer.kernel_size, layer.padding, layer.activation.__name__)
             for layer in zoo.grid_cnn().layers if isinstance(layer, layers.Conv2D)]  # fmt: skip
    assert kinds == [(filters, (3, 3), "same", "relu") for filters in (32, 64, 128)]


def test_to_convolutional_follows_a_softmax_dropout_and_a_nested_backbone():
    backbone = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3)])
    inputs = keras.Input((8, 8, 3))
    pooled = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(backbone(inputs)))
    model = randomised(keras.Model(inputs, layers.Softmax()(layers.Dense(3)(pooled))))
    images = np.random.default_rng(0).random((2, 8, 8, 3), "float32")
    means = zoo.to_convolutional(model).predict(images, verbose=0).mean((1, 2))
    exponents = np.exp(means - means.max(1, keepdims=True))
    np.testing.assert_allclose(exponents / exponents.sum(1, keepdims=True), model.predict(images, verbose=0), atol=1e-5)
    flat = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ValueError, match="does not end in GlobalAveragePooling2D and Dense"):
        zoo.to_convolutional(flat)


@pytest.mark.parametrize("name", ["ResNet50", "DenseNet121", "MobileNetV2", "EfficientNetB0"])
def test_a_backbone_does_its_own_preprocessing(name):
    module = {"ResNet50": "resnet50", "DenseNet121": "densenet", "MobileNetV2": "mobilenet_v2",
              "EfficientNetB0": "efficientnet"}[name]  # fmt: skip
    preprocess = getattr(keras.applications, module).preprocess_input
    model = zoo.backbone(name, image_shape=(64, 64, 3), classes=5, maximum=1.0)
    prepared = keras.Model(model.inputs, model.get_layer("preprocess").output)
    images = np.random.default_rng(0).random((2, 64, 64, 3), "float32")
    np.testing.assert_allclose(prepared.predict(images, verbose=0), preprocess(255 * images), rtol=1e-4, atol=1e-3)
    assert model.get_layer("features").output.shape[1:3] == (2, 2)
    assert model.output_shape == (None, 5)


def test_squeezenet_is_version_1_1():
    model = zoo.backbone("squeezenet")
    assert model.count_params() - model.get_layer("preprocess").count_params() == 1_235_496
    assert model.get_layer("fire9_concat").output.shape == (None, 13, 13, 512)
    blue = np.zeros((1, 1, 1, 3), "float32")
    blue[..., 2] = 255
    prepared = model.get_layer("preprocess")(blue)[0, 0, 0]
    np.testing.assert_allclose(prepared, [255 - 103.939, -116.779, -123.68], atol=1e-3)


def test_weights_are_read_by_layer_and_variable(tmp_path):
    source, target = gap_network(), gap_network()
    source.set_weights([weight + 1 for weight in source.get_weights()])
    named = {f"{layer.name}/{v.name}": v.numpy() for layer in source.layers for v in layer.weights}
    np.savez(tmp_path / "weights.npz", **named, other=np.ones(3))
    zoo.load_weights(target, tmp_path / "weights.npz")
    for one, two in zip(source.get_weights(), target.get_weights()):
        np.testing.assert_array_equal(one, two)
    del named["conv1/bias"]
    np.savez(tmp_path / "part.npz", **named)
    with pytest.raises(ValueError, match=r"part.npz' do not fit 'gap_network': .*conv1/bias"):
        zoo.load_weights(target, tmp_path / "part.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"text\.npz' do not fit"):
        zoo.load_weights(target, tmp_path / "text.npz")


def test_imagenet_weights_that_cannot_be_fetched_are_one_line(monkeypatch):
    def offline(*_, **__):
        raise Exception("URL fetch failure on https://...: None -- refused")

    monkeypatch.setattr(keras.applications, "MobileNet", lambda weights=None, **_: offline())
    monkeypatch.setattr(keras.applications.imagenet_utils, "decode_predictions", offline)
    with pytest.raises(OSError, match=r"weights of MobileNet could not be fetched \(URL fetch failure .*give a file"):
        zoo.backbone("MobileNet", "imagenet")
    assert zoo.imagenet_classes() == ()


@pytest.mark.parametrize(
    "name, weights, error, message",
    [
        ("nope", None, ValueError, "no backbone 'nope'; there are: squeezenet, ConvNeXt"),
        ("mobilenet:beta=1", None, ValueError, "MobileNet has no setting 'beta'"),
        ("mobilenet:alpha=big", None, ValueError, "backbone settings are numbers"),
        ("squeezenet", "imagenet", ValueError, "squeezenet has no weights to download"),
        ("squeezenet", "absent.npz", FileNotFoundError, "no weights file 'absent.npz'"),
    ],
)
def test_bad_backbones_get_one_line(name, weights, error, message):
    with pytest.raises(error, match=message):
        zoo.backbone(name, weights)
