"""Conditional relevance: what passes through channels of a layer, against NumPy and against the whole map."""

import keras
import numpy as np
import pytest
from helpers import gap_network, randomised
from keras import layers

import keras_actmaps as kam

IMAGES = np.random.default_rng(0).random((2, 12, 16, 3), "float32")


@pytest.mark.parametrize("layer", ["conv1", "pool1", "features", "gap"])
@pytest.mark.parametrize(
    "settings", [{}, {"composite": "epsilon_gamma_box"}, {"composite": "attnlrp"}], ids=["default", "gamma", "attnlrp"]
)
def test_the_maps_of_all_channels_sum_to_the_whole_map(layer, settings):
    model = gap_network()
    whole = kam.explain(model, IMAGES, "lrp", targets=1, channels="keep", **settings).maps
    count = model.get_layer(layer).output.shape[-1]
    parts = [
        kam.explain(model, IMAGES, "lrp", targets=1, channels="keep", channels_of=layer, keep=k, **settings).maps
        for k in range(count)
    ]
    assert sum(np.abs(part).max() > 0 for part in parts) > 1
    np.testing.assert_allclose(sum(parts), whole, atol=1e-5 * np.abs(whole).max())
    some = kam.explain(
        model, IMAGES, "lrp", targets=1, channels="keep", channels_of=layer, keep=list(range(1, count)), **settings
    )
    np.testing.assert_allclose(some.maps, whole - parts[0], atol=1e-5 * np.abs(whole).max())


def test_relevance_through_one_hidden_unit_equals_numpy():
    """Two Dense layers by the rule 0: R_i(k) = x_i w_ik / z_k * a_k v_k."""
    inputs = keras.Input((5,))
    hidden = layers.Dense(4, use_bias=False, name="hidden")(inputs)
    model = randomised(keras.Model(inputs, layers.Dense(3, use_bias=False, name="out")(hidden)))
    x = np.random.default_rng(1).normal(size=(2, 5)).astype("float32")
    w, v = (one.get_weights()[0].astype("float64") for one in model.layers[1:])
    for unit in range(4):
        e = kam.explain(model, x, "lrp", targets=2, rule="0", channels_of="hidden", keep=unit)
        np.testing.assert_allclose(e.maps, x * w[:, unit] * v[unit, 2], rtol=1e-4, atol=1e-5)
        others = x.astype("float64") @ w @ v[:, 2] - (x.astype("float64") @ w[:, unit]) * v[unit, 2]
        np.testing.assert_allclose(e.residual, -others, rtol=1e-4, atol=1e-5)


def test_relevance_beside_the_layer_is_left_out():
    """y = sum of a branch and of its input: only what passes through the branch remains."""
    inputs = keras.Input((3,))
    branch = layers.Dense(3, use_bias=False, name="branch")(inputs)
    model = randomised(keras.Model(inputs, layers.Dense(2, use_bias=False)(layers.Add()([inputs, branch]))))
    x = np.random.default_rng(2).normal(size=(2, 3)).astype("float32")
    w, v = model.layers[1].get_weights()[0], model.layers[-1].get_weights()[0]
    e = kam.explain(model, x, "lrp", targets=0, rule="0", channels_of="branch")
    np.testing.assert_allclose(e.maps, x * (w @ v[:, 0]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep": 1}, "keep=1 needs channels_of"),
        ({"channels_of": "no"}, "channels_of: no layer 'no' in 'gap_network'"),
        ({"channels_of": "features", "keep": 8}, "channel 8 does not exist; layer 'features' has channels 0 to 7"),
        ({"channels_of": "features", "keep": [0, -1]}, "channel -1 does not exist"),
        ({"channels_of": "features", "keep": 1.5}, "keep must be"),
    ],
)
def test_layers_and_channels_that_do_not_exist_are_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        kam.explain(gap_network(), IMAGES, "lrp", **settings)
