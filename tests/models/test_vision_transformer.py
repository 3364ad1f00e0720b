"""The small vision transformer: the same after saving and loading, and the model of its own training protocol."""

import keras
import numpy as np
import pytest
from helpers import array, randomised

import keras_actmaps as kam
from keras_actmaps.models.model_files import load_model


def test_a_saved_model_computes_the_same(tmp_path):
    model = randomised(kam.models.vit((16, 24, 1), 3, width=8, depth=1, heads=2))
    model.save(tmp_path / "vit.keras")
    images = np.random.default_rng(0).random((2, 16, 24, 1), "float32")
    np.testing.assert_allclose(array(load_model(tmp_path / "vit.keras")(images)), array(model(images)), atol=1e-6)


def test_the_class_token_comes_first_and_positions_are_added():
    layer = kam.models.vision_transformer.ClassToken()
    patches = np.random.default_rng(0).random((2, 2, 3, 4), "float32")
    layer.build(patches.shape)
    token, positions = np.full((1, 1, 4), 5.0), np.random.default_rng(1).random((1, 7, 4))
    layer.set_weights([token, positions])
    expected = np.concatenate([np.repeat(token, 2, 0), patches.reshape(2, 6, 4)], axis=1) + positions
    np.testing.assert_allclose(array(layer(patches)), expected, rtol=1e-6)


def test_it_has_a_protocol_on_gray_images():
    pytest.importorskip("tensorflow")
    from keras_actmaps import data
    from keras_actmaps.training.protocols import find_protocol, new_model

    protocol = find_protocol("drawn-grid", model="vit", epochs=2)
    model = new_model(protocol, None, data.load("drawn-grid", limit=16))
    assert (model.name, protocol.epochs, model.output_shape) == ("vit", 2, (None, 10))
    assert isinstance(model.get_layer("block4_attention"), keras.layers.MultiHeadAttention)
