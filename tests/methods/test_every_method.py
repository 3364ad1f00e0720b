"""Every method on models of every construction: maps that depend on the image only, or an error that says why not."""

import functools

import keras
import numpy as np
import pytest
from helpers import FOR_CONVNETS, QUICK, array, outside_keras, randomised, raw_maps
from keras import layers

import keras_actmaps as kam
from keras_actmaps.core.resize import resize

SHAPE, FEATURES = (12, 9), (6, 4)  # of the images and of the last spatial layer
CLASSES = 4


class Blocks(keras.Model):
    """A subclassed model that can be traced: it uses layers and operations of Keras only."""

    def __init__(self, top):
        super().__init__(name="traced")
        self.parts = [
            layers.Conv2D(4, 3, padding="same"),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Conv2D(5, 3, padding="same"),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES),
        ]
        self.top = layers.Softmax() if top == "softmax" else layers.Identity()

    def call(self, images):
        for part in self.parts:
            images = part(images)
        return self.top(images)


class Opaque(Blocks):
    """A subclassed model that cannot be traced: it uses operations outside Keras. A softmax in it cannot be found."""

    def __init__(self, top):
        super().__init__("logits")
        self.name = "opaque"

    def call(self, images):
        return outside_keras(super().call(outside_keras(images)))


def body(activation):
    """Convolution, pooling, convolution; the activation is a layer, or an attribute where it is a name."""
    named = activation if isinstance(activation, str) else None
    after = [] if named else [activation]
    return [
        *(layers.Conv2D(4, 3, padding="same", activation=named), *(make() for make in after)),
        layers.MaxPooling2D(2),
        *(layers.Conv2D(5, 3, padding="same", activation=named), *(make() for make in after)),
    ]


def sequential(top):
    head = [layers.GlobalAveragePooling2D(), layers.Dense(CLASSES, activation=top if top == "softmax" else None)]
    return keras.Sequential([keras.Input((*SHAPE, 3)), *body("relu"), *head])


def functional(top, channels=1, activation=layers.ReLU):
    inputs = keras.Input((*SHAPE, channels))
    x = inputs
    for layer in [*body(activation), layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)]:
        x = layer(x)
    return keras.Model(inputs, layers.Softmax()(x) if top == "softmax" else x, name="functional")


def nested(top):
    backbone = keras.Sequential([keras.Input((*SHAPE, 3)), *body("relu")], name="backbone")
    head = [layers.GlobalAveragePooling2D(), layers.Dense(CLASSES, activation=top if top == "softmax" else None)]
    return keras.Sequential([keras.Input((*SHAPE, 3)), backbone, *head])


MODELS = {
    "sequential": sequential,
    "functional": functional,
    "nested": nested,
    "traced": Blocks,
    "opaque": Opaque,
    "silu": functools.partial(functional, channels=3, activation="silu"),
}

CAMS = [
    "cam",
    "gradcam",
    "gradcam_plus_plus",
    "xgradcam",
    "hirescam",
    "layercam",
    "eigencam",
    "scorecam",
    "ablationcam",
    "excitation_backprop",
    "conductance",
]
GUIDED = ["guided_backprop", "deconvnet", "guided_gradcam"]
NEED_GRAPH = {*CAMS, *GUIDED, "lrp", "deeplift", "deeplift_shap", "fullgrad"}


def refusal(method: str, kind: str) -> str | None:
    """What the error must say where a method does not fit the model; None where it fits."""
    if kind == "opaque" and method in NEED_GRAPH:
        return "'opaque'.*methods that need no layer"
    if kind == "silu" and method in GUIDED:
        return "silu"
    return None


@functools.cache
def twins(kind: str):
    """A model with a softmax and one without, of the same weights, and three images."""
    images = np.random.default_rng(1).random((3, *SHAPE, 1 if kind in ("functional", "traced") else 3), "float32")
    keras.utils.set_random_seed(0)
    pair = [MODELS[kind](top) for top in ("softmax", "logits")]
    for model in pair:
        model(images)
    for weight in randomised(pair[0]).weights:
        weight.assign(
            3 * weight if weight.name == "kernel" else weight
        )  # so that the images matter more than the biases
    pair[1].set_weights(pair[0].get_weights())
    return *pair, images


def state(model, images) -> list:
    """What a user can observe of a model: its weights, layers and outputs."""
    weights = [weight.numpy().tobytes() for weight in model.weights]
    flags = [(weight.path, weight.trainable) for weight in model.weights]
    inner = [layer.get_config() for layer in model._flatten_layers() if not isinstance(layer, Blocks)]
    return [weights, flags, str(inner), array(model(images)).tobytes()]


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("method", FOR_CONVNETS)
def test_method_on_model(method, kind):
    model, linear, images = twins(kind)
    settings = QUICK.get(method, {})
    before = state(model, images)
    if error := refusal(method, kind):
        with pytest.raises(ValueError, match=error):
            kam.explain(model, images, method, batch_size=2, **settings)
        assert state(model, images) == before
        return

    three = kam.explain(model, images, method, batch_size=2, **settings)  # softmax, other images, a ragged last batch
    assert three.maps.shape == (3, *SHAPE) and three.maps.dtype == np.float32
    assert np.isfinite(three.maps).all() and np.ptp(three.maps, axis=(1, 2)).min() > 0
    logits = array(linear(images))
    np.testing.assert_allclose(three.scores, logits.max(axis=1), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(three.targets, logits.argmax(axis=1))
    assert state(model, images) == before

    alone = kam.Probe(linear)  # no softmax, no other images, no padding
    raw = np.concatenate([raw_maps(method, alone, images[i : i + 1], **settings) for i in (1, 2)])
    assert raw.shape[1:] in (SHAPE, FEATURES)
    differences = np.abs(resize(raw, SHAPE) - three.maps[1:]).max(axis=(1, 2))
    assert (differences <= 1e-4 * np.abs(three.maps[1:]).max(axis=(1, 2))).all()
