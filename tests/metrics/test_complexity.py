"""Sparseness, entropy and effective complexity: closed forms."""

import numpy as np
import pytest
from helpers.metrics import explanation_of

from keras_actmaps.metrics import METRICS, effective_complexity, entropy, sparseness


def stacked(*maps):
    return explanation_of(maps)


@pytest.mark.parametrize("value", [1, -3, 0])
def test_values_of_a_uniform_map(value):
    uniform = stacked(np.full((4, 5), value))
    assert sparseness(uniform) == pytest.approx(0, abs=1e-12)
    assert entropy(uniform) == pytest.approx(np.log(20))


@pytest.mark.parametrize("value", [2, -2])
def test_values_of_a_single_pixel(value):
    single = np.zeros((4, 5))
    single[2, 3] = value
    assert sparseness(stacked(single)) == pytest.approx(1 - 1 / 20)
    assert entropy(stacked(single)) == pytest.approx(0, abs=1e-12)


def test_the_gini_index_is_half_the_relative_mean_difference():
    values = np.random.default_rng(0).normal(size=(3, 6, 7)).astype("float32")
    flat = np.abs(values.reshape(3, -1).astype("float64"))
    differences = np.abs(flat[:, :, None] - flat[:, None]).mean((1, 2)) / (2 * flat.mean(1))
    np.testing.assert_allclose(sparseness(stacked(*values)), differences, rtol=1e-6)
    assert sparseness(stacked([1, 2, 3, 4])) == pytest.approx(0.25)


def test_k_equal_pixels_have_the_entropy_ln_k():
    for k in (1, 2, 7, 20):
        values = np.zeros(20)
        values[:k] = -4
        assert entropy(stacked(values)) == pytest.approx(np.log(k))
        assert sparseness(stacked(values)) == pytest.approx(1 - k / 20)
        assert effective_complexity(stacked(values)) == k
    assert entropy(stacked([1, 3])) == pytest.approx(np.log(4) - 3 / 4 * np.log(3))


def test_pixels_above_a_share_of_the_largest_are_counted():
    maps = stacked([8, -4, 2, 1, 0], [-8e-9, 4e-9, 0, 0, 0], [0, 0, 0, 0, 0])
    assert effective_complexity(maps).tolist() == [4, 2, 5]  # a map of zeros is uniform
    assert effective_complexity(maps, threshold=0.2).tolist() == [3, 2, 5]
    assert effective_complexity(maps, threshold=0.6).tolist() == [1, 1, 5]


def test_which_values_are_better():
    assert (METRICS["sparseness"].better, METRICS["entropy"].better) == ("higher", "lower")


@pytest.mark.parametrize("metric", [sparseness, entropy, effective_complexity])
def test_maps_that_are_not_finite_are_refused(metric):
    with pytest.raises(ValueError, match="map 1 contains NaN or Inf"):
        metric(stacked([1, 2], [np.inf, 0]))
