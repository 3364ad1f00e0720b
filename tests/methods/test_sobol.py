"""Sobol attribution against the total indices that are known exactly: Ishigami's function, and a linear network."""

import numpy as np
import pytest
from helpers import linear_network

import keras_actmaps as kam
from keras_actmaps.methods.sobol import replicated_design, total_indices


def test_the_estimate_on_the_function_of_ishigami():
    """Total indices 0.558, 0.442 and 0.244 in closed form, for a = 7 and b = 0.1 (Ishigami and Homma 1990)."""
    designs, a, b = 4096, 7, 0.1
    x = np.pi * (2 * replicated_design(3, designs, seed=0).astype("float64") - 1)
    scores = np.sin(x[:, 0]) + a * np.sin(x[:, 1]) ** 2 + b * x[:, 2] ** 4 * np.sin(x[:, 0])
    variance = a**2 / 8 + b * np.pi**4 / 5 + b**2 * np.pi**8 / 18 + 1 / 2
    first = 0.5 * (1 + b * np.pi**4 / 5) ** 2
    exact = [first / variance + 8 * b**2 * np.pi**8 / 225 / variance, a**2 / 8 / variance]
    exact.append(8 * b**2 * np.pi**8 / 225 / variance)
    np.testing.assert_allclose(exact, [0.558, 0.442, 0.244], atol=6e-4)
    np.testing.assert_allclose(total_indices(scores[None], designs)[0], exact, atol=0.005)


@pytest.mark.parametrize("designs", [2, 5, 16])
def test_the_design_replaces_one_column_at_a_time(designs):
    first, second, *mixed = np.split(replicated_design(4, designs, seed=3), 6)
    assert len(np.unique(np.concatenate([first, second]))) == 2 * 4 * designs
    for column, rows in enumerate(mixed):
        others = np.arange(4) != column
        np.testing.assert_array_equal(rows[:, others], first[:, others])
        np.testing.assert_array_equal(rows[:, column], second[:, column])


def test_shares_of_a_linear_network_are_squared_contributions():
    """Var Y = sum_s c_s^2 / 12 for independent uniform shares of the segments, with c_s their contributions."""
    images = np.random.default_rng(2).random((3, 6, 8, 2), "float32")
    model, weights, _ = linear_network(images.shape[1:])
    e = kam.explain(model, images, "sobol", targets=1, designs=256, cells=(2, 2), fill="mean", batch_size=64)
    differences = images - images.mean((1, 2), keepdims=True)
    contributions = (weights[..., 1] * differences).sum(-1).reshape(3, 2, 3, 2, 4).sum((2, 4))
    exact = contributions**2 / (contributions**2).sum((1, 2), keepdims=True)
    found = e.maps[:, ::3, ::4]
    np.testing.assert_allclose(found, exact, atol=0.03)
    np.testing.assert_array_equal(e.maps, found.repeat(3, 1).repeat(4, 2))


def test_a_constant_score_has_no_shares():
    assert not total_indices(np.full((2, 5 * 8), 3.0), 8).any()


def test_too_many_segments_are_one_line(images):
    model, _, _ = linear_network((110, 110, 1))
    with pytest.raises(ValueError, match="12100 segments are too many for a Sobol sequence; pass 10600 or fewer"):
        kam.explain(model, np.zeros((1, 110, 110, 1)), "sobol", cells=110)
