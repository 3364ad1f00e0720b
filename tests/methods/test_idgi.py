"""IDGI against its closed form on a linear score, algorithm 1 in NumPy on a network, and by its completeness."""

from itertools import pairwise

import keras
import numpy as np
import pytest
from helpers import array, forbid_passes, gap_network, linear_network, randomised
from keras import layers, ops

import keras_actmaps as kam


def test_a_linear_score_is_distributed_by_the_squares_of_its_weights():
    model, weights, _ = linear_network((4, 5, 3))
    images = np.random.default_rng(0).random((2, 4, 5, 3), "float32")
    for baseline in ("zero", 0.25):
        e = kam.explain(model, images, "idgi", targets=[0, 1], steps=3, baseline=baseline, channels="keep")
        w = np.moveaxis(weights, -1, 0)
        start = 0 if baseline == "zero" else baseline
        rise = ((images - start) * w).sum((1, 2, 3), keepdims=True)
        np.testing.assert_allclose(e.maps, rise * w**2 / (w**2).sum((1, 2, 3), keepdims=True), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("batch_size", [2, 5, 64])
def test_algorithm_1_in_numpy(batch_size):
    """tanh(x A) B: the gradient is A ((1 - tanh^2) B), without a framework; chunks of 1, 2 and all points."""
    inputs = keras.Input((6,))
    hidden = layers.Dense(5, activation="tanh", use_bias=False)(inputs)
    model = keras.Model(inputs, layers.Dense(2, use_bias=False)(hidden))
    random = np.random.default_rng(1)
    a, b, rows = random.normal(size=(6, 5)), random.normal(size=(5, 2)), random.normal(size=(2, 6))
    model.set_weights([a, b])
    expected = np.zeros((2, 6))
    for row, x, target in zip(expected, rows, (1, 0)):
        points = [step / 7 * x for step in range(8)]
        for here, after in pairwise(points):
            gradient = a @ ((1 - np.tanh(here @ a) ** 2) * b[:, target])
            row += (np.tanh(after @ a) - np.tanh(here @ a)) @ b[:, target] * gradient**2 / (gradient @ gradient)
    e = kam.explain(model, rows.astype("float32"), "idgi", targets=[1, 0], steps=7, batch_size=batch_size)
    np.testing.assert_allclose(e.maps, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 6])
def test_it_is_complete_with_any_number_of_steps(steps, images):
    model, targets = gap_network(), np.array([0, 1, 2, 3, 1])
    e = kam.explain(model, images, "idgi", targets, steps=steps)
    rises = (array(model(images)) - array(model(0 * images)))[np.arange(5), targets]
    np.testing.assert_allclose(e.maps.sum((1, 2)), rises, atol=1e-5 * np.abs(e.scores).max())
    np.testing.assert_allclose(e.residual, 0, atol=1e-5 * np.abs(e.scores).max())
    integrated = kam.explain(model, images, "integrated_gradients", targets, steps=steps)
    assert np.abs(integrated.residual).max() > 1e-3


def test_the_rise_of_a_step_without_a_gradient_is_in_the_residual():
    """relu(x1 + x2 - 1) along (2, 1): the gradient is 0 at 0, and of the two steps the first rises by a half."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, ops.relu(ops.sum(inputs, axis=1, keepdims=True) - 1))
    e = kam.explain(model, np.array([[2, 1]], "float32"), "idgi", targets=0, steps=2)
    np.testing.assert_allclose(e.maps, [[0.75, 0.75]], rtol=1e-6)
    np.testing.assert_allclose(e.residual, [-0.5], rtol=1e-6)


def test_gradients_whose_squares_underflow_are_distributed():
    inputs = keras.Input((2,))
    model = randomised(keras.Model(inputs, layers.Dense(1, use_bias=False)(inputs)))
    model.set_weights([np.array([[1e-25], [2e-25]])])
    e = kam.explain(model, np.ones((1, 2), "float32"), "idgi", targets=0, steps=1)
    np.testing.assert_allclose(e.maps, [[0.6e-25, 2.4e-25]], rtol=1e-4)


def test_bad_settings_raise_before_any_pass(images, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError, match=r"^steps must be an integer >= 1 and <= 1,000,000, got 0$"):
        kam.explain(gap_network(), images, "idgi", steps=0)
    with pytest.raises(ValueError, match=r"^a baseline of shape \(5, 5\) does not fit inputs"):
        kam.explain(gap_network(), images, "idgi", baseline=np.zeros((5, 5)))
