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
