"""Sparseness and entropy: closed forms."""

import numpy as np
import pytest

from keras_actmaps import Explanation
from keras_actmaps.metrics import entropy, sparseness


def explained(*maps):
    maps = np.asarray(maps, "float32")
    return Explanation(maps, np.zeros(len(maps), int), np.zeros(len(maps)), "gradcam")


@pytest.mark.parametrize("value", [1, -3, 0])
def test_a_uniform_map_is_the_low_end(value):
    uniform = explained(np.full((4, 5), value))
    assert sparseness(uniform) == pytest.approx(0, abs=1e-12)
    assert entropy(uniform) == pytest.approx(np.log(20))


@pytest.mark.parametrize("value", [2, -2])
def test_a_single_pixel_is_the_high_end(value):
    single = np.zeros((4, 5))
    single[2, 3] = value
    assert sparseness(explained(single)) == pytest.approx(1 - 1 / 20)
    assert entropy(explained(single)) == pytest.approx(0, abs=1e-12)


def test_the_gini_index_is_half_the_relative_mean_difference():
    values = np.random.default_rng(0).normal(size=(3, 6, 7)).astype("float32")
    flat = np.abs(values.reshape(3, -1).astype("float64"))
    differences = np.abs(flat[:, :, None] - flat[:, None]).mean((1, 2)) / (2 * flat.mean(1))
    np.testing.assert_allclose(sparseness(explained(*values)), differences, rtol=1e-6)
    assert sparseness(explained([1, 2, 3, 4])) == pytest.approx(0.25)


def test_k_equal_pixels_have_the_entropy_ln_k():
    for k in (1, 2, 7, 20):
        values = np.zeros(20)
        values[:k] = -4
        assert entropy(explained(values)) == pytest.approx(np.log(k))
        assert sparseness(explained(values)) == pytest.approx(1 - k / 20)
    assert entropy(explained([1, 3])) == pytest.approx(np.log(4) - 3 / 4 * np.log(3))


def test_which_way_is_better_is_marked():
    assert (sparseness.better, entropy.better) == ("higher", "lower")


@pytest.mark.parametrize("metric", [sparseness, entropy])
def test_bad_input_is_one_line(metric):
    with pytest.raises(ValueError, match="map 1 holds NaN or Inf"):
        metric(explained([1, 2], [np.inf, 0]))
