"""Precision: bfloat16 differs from float32 by the rounding to 8 bits, and maps are float32."""

import keras
import numpy as np
import pytest
from helpers import gap_network, outside_keras
from keras import layers

import keras_actmaps as kam

SETTINGS = {"occlusion": {"patch": 4}}


@pytest.mark.parametrize("method", ["cam", "gradcam", "saliency", "lrp", "occlusion"])
def test_bfloat16_rounds_to_eight_bits(images, method):
    model = gap_network(activation="softmax")
    settings = SETTINGS.get(method, {})
    exact = kam.explain(model, images, method, targets=1, **settings)
    rounded = kam.explain(model, images, method, targets=1, precision="bfloat16", **settings)
    assert rounded.maps.dtype == rounded.scores.dtype == np.float32
    difference = np.linalg.norm(rounded.maps - exact.maps) / np.linalg.norm(exact.maps)
    assert 1e-4 < difference < 0.05
    np.testing.assert_allclose(rounded.scores, exact.scores, rtol=0.05, atol=0.05)
    assert kam.explain(model, images, method, targets=1, **settings).maps.tobytes() == exact.maps.tobytes()


def test_unknown_precisions_are_refused(images):
    with pytest.raises(ValueError, match="precision must be one of float32, tf32, bfloat16, got 'half'"):
        kam.explain(gap_network(), images, precision="half")
    probe = kam.Probe(gap_network(), precision="tf32")
    with pytest.raises(ValueError, match="precision='float32', but the Probe was made for precision='tf32'"):
        kam.explain(probe, images, precision="float32")


class Opaque(keras.Model):
    def __init__(self):
        super().__init__(name="opaque")
        self.dense = layers.Dense(3)

    def call(self, images):
        return self.dense(outside_keras(images))


def test_bfloat16_needs_a_model_that_can_be_traced():
    model, images = Opaque(), np.ones((2, 4), "float32")
    model(images)
    with pytest.raises(ValueError, match="precision='bfloat16' is set layer by layer, and 'opaque' cannot be traced"):
        kam.explain(model, images, "saliency", precision="bfloat16")
    assert kam.explain(model, images, "saliency", precision="tf32").maps.shape == (2, 4)


class Stack(layers.Layer):
    """Layers in a list, as the blocks of a transformer are kept."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.blocks = [layers.Dense(8, "gelu", dtype=policy, name=f"block_{number}") for number in range(3)]

    def call(self, x):
        for block in self.blocks:
            x = block(x)
        return x


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_layers_in_a_list_of_a_custom_layer_are_explained_in_float32(policy):
    """A model of mixed precision has the scores and maps of the same weights in float32."""

    def network(policy):
        keras.utils.set_random_seed(0)
        x = inputs = keras.Input((8, 8, 3))
        stack = Stack(name="stack", dtype=policy)
        x = layers.GlobalAveragePooling2D(dtype="float32")(stack(x))
        return keras.Model(inputs, layers.Dense(3, dtype="float32")(x))

    plain, mixed = network("float32"), network(policy)
    mixed.set_weights(plain.get_weights())
    inputs = np.random.default_rng(0).random((2, 8, 8, 3), "float32")
    expected, found = (kam.explain(model, inputs, "gradient_x_input", 1) for model in (plain, mixed))
    np.testing.assert_allclose(found.scores, plain.predict(inputs, verbose=0)[:, 1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.maps, expected.maps, rtol=1e-4, atol=1e-7)
    assert {block.compute_dtype for block in mixed.get_layer("stack").blocks} == {policy.removeprefix("mixed_")}
