"""Explanations of token ids against captum's, on the same weights; texts.npz is written by make_texts.py."""

from pathlib import Path

import keras
import make_texts
import numpy as np
import pytest
from helpers import BACKEND
from keras import layers

import keras_actmaps as kam

STORED = dict(np.load(Path(__file__).with_name("texts.npz")))
PEERS = {"integrated_gradients": "LayerIntegratedGradients", "occlusion": "FeatureAblation"}


def model_of(network):
    ids, own = keras.Input((6,), dtype="int32"), make_texts.weights(network)
    x = layers.Embedding(make_texts.WORDS, make_texts.WIDTH)(ids)
    if network == "convolution":
        x = layers.Flatten()(layers.Conv1D(make_texts.HIDDEN, 3, activation="tanh")(x))
        del own["recurrent"]
    else:
        x = layers.SimpleRNN(make_texts.HIDDEN)(x)
    model = keras.Model(ids, layers.Dense(make_texts.CLASSES)(x))
    model.set_weights(list(own.values()))
    return model


@pytest.mark.parametrize("method", PEERS)
@pytest.mark.parametrize("network", make_texts.NETWORKS)
def test_maps_are_those_of_captum(network, method):
    model, expected = model_of(network), STORED[f"{PEERS[method]}/{network}"]
    np.testing.assert_allclose(model.predict(make_texts.IDS, verbose=0), STORED[f"logits/{network}"], atol=1e-5)
    e = kam.explain(model, make_texts.IDS, method, make_texts.TARGETS, baseline=make_texts.BASELINE)
    np.testing.assert_allclose(e.maps, expected, atol=1e-5 * np.abs(expected).max())
    assert np.abs(expected).max() > 0.1


@pytest.mark.skipif(BACKEND != "torch", reason="captum is of PyTorch")
def test_the_stored_numbers_are_those_of_captum():
    pytest.importorskip("captum")
    for key, values in make_texts.maps():
        np.testing.assert_allclose(values, STORED[key], atol=1e-9)
