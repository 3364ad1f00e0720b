"""Guided integrated gradients against what PAIR's package `saliency` made of the same network and inputs."""

from pathlib import Path

import keras
import make_guided_ig
import numpy as np
import pytest
from keras import layers

import keras_actmaps as kam

STORED = dict(np.load(Path(__file__).with_name("guided_ig.npz")))


@pytest.mark.parametrize("settings", make_guided_ig.SETTINGS)
def test_the_map_is_that_of_the_authors(settings):
    given = keras.Input((make_guided_ig.FEATURES,))
    hidden = layers.Dense(make_guided_ig.HIDDEN, activation="tanh", use_bias=False)(given)
    model = keras.Model(given, layers.Dense(1, use_bias=False)(hidden))
    model.set_weights([STORED["first"], STORED["second"][:, None]])
    names = dict(zip(("steps", "fraction", "deviation"), settings))
    e = kam.explain(model, STORED["inputs"], "guided_ig", targets=0, baseline=STORED["baseline"], **names)
    expected = STORED["/".join(map(str, settings))]
    np.testing.assert_allclose(e.maps, expected, atol=1e-5 * np.abs(expected).max())
