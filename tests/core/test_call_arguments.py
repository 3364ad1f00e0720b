"""Subclassed models by the arguments of their `call`: several ones, a dict or a list of one, optional ones."""

import keras
import numpy as np
import pytest
from helpers import randomised
from keras import layers, ops

import keras_actmaps as kam

METHODS = {"saliency": {}, "gradcam": {}, "integrated_gradients": {"steps": 4}, "occlusion": {"patch": 3}}


def functional():
    """An image through convolutions times a table through a dense layer."""
    image, table = keras.Input((8, 6, 3), name="picture"), keras.Input((4,), name="attributes")
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="conv")(image)
    x = layers.GlobalAveragePooling2D()(x) * layers.Dense(5, name="gate")(table)
    return randomised(keras.Model([image, table], layers.Dense(3, name="head")(x)))


class Base(keras.Model):
    def __init__(self, model, is_traceable=True):
        super().__init__()
        self.conv, self.gate, self.head = (model.get_layer(name) for name in ("conv", "gate", "head"))
        self.is_traceable = is_traceable

    def classify(self, picture, attributes):
        if not self.is_traceable and isinstance(picture, keras.KerasTensor):
            raise TypeError("needs values")
        return self.head(ops.mean(self.conv(picture), axis=(1, 2)) * self.gate(attributes))


class Separate(Base):
    def call(self, picture, attributes, training=False):
        return self.classify(picture, attributes)


class Optional(Base):
    def call(self, picture, attributes=None):
        return self.classify(picture, ops.ones((1, 4)) if attributes is None else attributes)


class OneOfDict(Base):
    def call(self, inputs):
        return self.classify(inputs["picture"], ops.ones((1, 4)))


class OneOfList(Base):
    def call(self, inputs):
        return self.classify(inputs[0], ops.ones((1, 4)))


def arrays(count=4):
    random = np.random.default_rng(0)
    return random.random((count, 8, 6, 3), "float32"), random.random((count, 4), "float32")


def assert_equal_maps(model, inputs, expected_model, expected_inputs, methods=tuple(METHODS)):
    for method in methods:
        found = kam.explain(model, inputs, method, targets=1, **METHODS[method]).maps
        expected = kam.explain(expected_model, expected_inputs, method, targets=1, **METHODS[method]).maps
        if not isinstance(expected, dict):
            found, expected = {"": found}, {"": expected}
        assert found.keys() == expected.keys()
        for name, maps in expected.items():
            np.testing.assert_allclose(found[name], maps, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("is_dict", [False, True])
def test_separate_arguments_have_the_maps_of_the_functional_model(is_dict):
    reference, (pictures, attributes) = functional(), arrays()
    model = Separate(reference)
    model(pictures, attributes)
    inputs = {"attributes": attributes, "picture": pictures} if is_dict else [pictures, attributes]
    assert_equal_maps(model, inputs, reference, [pictures, attributes])
    stream = [((pictures[:2], attributes[:2]),), ((pictures[2:], attributes[2:]),)]
    found = [e.maps["picture"] for e in kam.explain_dataset(model, stream, "saliency", targets=1)]
    expected = kam.explain(reference, [pictures, attributes], "saliency", targets=1).maps["picture"]
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-4, atol=1e-6)


def test_separate_arguments_of_a_model_that_cannot_be_traced():
    reference, inputs = functional(), list(arrays())
    model = Separate(reference, is_traceable=False)
    model(*inputs)
    assert_equal_maps(model, inputs, reference, inputs, ("saliency", "integrated_gradients", "occlusion"))


def test_a_probe_of_separate_arguments_needs_their_shapes():
    reference, inputs = functional(), list(arrays())
    model = Separate(reference)
    model(*inputs)
    with pytest.raises(ValueError, match="the shape of input 'attributes' is not known; pass Probe as `shape`"):
        kam.Probe(model)
    assert_equal_maps(kam.Probe(model, shape=[(8, 6, 3), (4,)]), inputs, reference, inputs, ("saliency",))


@pytest.mark.parametrize("by_keyword", [False, True])
def test_the_advice_for_optional_arguments_works(by_keyword):
    reference, (pictures, attributes) = functional(), arrays()
    model = Optional(reference)
    model(pictures, attributes=attributes)
    with pytest.raises(ValueError, match=r"takes one input, .* explain keras.Model[(]inputs, model[(][*]inputs[)][)]"):
        kam.explain(model, [pictures, attributes], "saliency")
    symbols = [keras.Input((8, 6, 3), name="picture"), keras.Input((4,), name="attributes")]
    outputs = model(symbols[0], attributes=symbols[1]) if by_keyword else model(*symbols)
    assert_equal_maps(keras.Model(symbols, outputs), [pictures, attributes], reference, [pictures, attributes])


@pytest.mark.parametrize("kind", [OneOfDict, OneOfList])
def test_a_dict_or_a_list_of_one_input_is_that_input(kind):
    reference, (pictures, _) = functional(), arrays()
    model, inputs = kind(reference), {"picture": pictures} if kind is OneOfDict else [pictures]
    model(inputs)
    images = keras.Input((8, 6, 3))
    x = layers.GlobalAveragePooling2D()(reference.get_layer("conv")(images))
    x = x * reference.get_layer("gate")(ops.ones((1, 4)))
    plain = keras.Model(images, reference.get_layer("head")(x))
    assert_equal_maps(model, inputs, plain, pictures)
    assert_equal_maps(model, pictures, plain, pictures, ("saliency",))
    (found,) = kam.explain_dataset(model, [inputs] if kind is OneOfDict else [(inputs,)], "saliency", targets=1)
    np.testing.assert_allclose(found.maps, kam.explain(plain, pictures, "saliency", targets=1).maps, rtol=1e-4)
    if kind is OneOfDict:
        with pytest.raises(ValueError, match="has the inputs picture, got image"):
            kam.explain(model, {"image": pictures}, "saliency")
