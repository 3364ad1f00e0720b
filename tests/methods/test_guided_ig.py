"""Guided integrated gradients against closed forms; tests/peers compares it with the package of its authors."""

import keras
import numpy as np
import pytest
from helpers import array, forbid_passes, gap_network, linear_network
from keras import layers, ops

import keras_actmaps as kam
from keras_actmaps import backend


@pytest.mark.parametrize("settings", [{}, {"deviation": 1.0, "fraction": 0.1}, {"deviation": 0.0, "steps": 3}])
def test_the_path_does_not_matter_for_a_linear_score(settings):
    model, weights, _ = linear_network((4, 5, 3))
    images = np.random.default_rng(0).random((2, 4, 5, 3), "float32")
    e = kam.explain(model, images, "guided_ig", 1, baseline=0.3, channels="keep", **{"steps": 20, **settings})
    np.testing.assert_allclose(e.maps, (images - np.float32(0.3)) * weights[..., 1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(e.residual, 0, atol=1e-4)


def test_the_feature_of_least_gradient_moves_first():
    """a + 3 b^2 to (1, 1): b moves while its gradient is 0, then a; together on the straight path b gets 6 / 4."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, ops.sum(inputs * ops.stack([inputs[:, 0] * 0 + 1, 3 * inputs[:, 1]], 1), 1, True))
    row = np.ones((1, 2), "float32")
    free = kam.explain(model, row, "guided_ig", targets=0, steps=2, fraction=0.5, deviation=1.0)
    np.testing.assert_allclose(free.maps, [[1, 0]], atol=1e-6)
    straight = kam.explain(model, row, "guided_ig", targets=0, steps=2, deviation=0.0)
    np.testing.assert_allclose(straight.maps, [[1, 1.5]], rtol=1e-6)
    np.testing.assert_allclose(straight.residual, [2.5 - 4], rtol=1e-5)


def test_many_steps_are_complete(images):
    inputs = keras.Input(images.shape[1:])
    keras.utils.set_random_seed(3)
    hidden = layers.Dense(6, activation="tanh")(layers.Flatten()(inputs))
    model = keras.Model(inputs, layers.Dense(3)(hidden))
    e = kam.explain(model, images, "guided_ig", 1, steps=80, deviation=0.3)
    rises = array(model(images))[:, 1] - array(model(0 * images))[:, 1]
    np.testing.assert_allclose(e.maps.sum((1, 2)), rises, atol=0.02 * np.abs(rises).max())
    np.testing.assert_allclose(e.residual, e.maps.sum((1, 2)) - rises, atol=1e-4)


def test_a_step_is_one_call_for_the_whole_batch(images, monkeypatch):
    calls, call = [], backend.CompiledFunction.__call__
    monkeypatch.setattr(
        backend.CompiledFunction, "__call__", lambda program, *tensors: calls.append(1) or call(program, *tensors)
    )
    kam.explain(gap_network(), images, "guided_ig", steps=9)
    assert len(calls) == 9 + 2  # the scores of the images and of the baselines


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"steps": 0}, r"^steps must be an integer >= 1 and <= 1,000,000, got 0$"),
        ({"fraction": 0}, r"^fraction must be a finite number >= 0.01 and <= 1, got 0$"),
        ({"deviation": 1.5}, r"^deviation must be a finite number >= 0 and <= 1, got 1.5$"),
        ({"baseline": np.zeros((5, 5))}, r"^a baseline of shape \(5, 5\) does not fit inputs"),
    ],
)
def test_bad_settings_raise_before_any_pass(settings, error, images, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError, match=error):
        kam.explain(gap_network(), images, "guided_ig", **settings)
