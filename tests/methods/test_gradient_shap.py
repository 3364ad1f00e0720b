"""GradientSHAP against closed forms in expectation, and against expected gradients where there is no noise."""

import keras
import numpy as np
import pytest
from helpers import forbid_passes, gap_network, linear_network
from keras import ops

import keras_actmaps as kam


def test_noise_adds_its_variance_to_a_quadratic_score():
    """Y = a^2 + b^2 at (2, 0), whose noise has the deviation 0.5 (2 - 0) = 1: x^2 + 1 less the mean square of x_s."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, ops.sum(inputs**2, axis=1, keepdims=True))
    baselines = np.random.default_rng(1).normal(size=(50, 2)).astype("float32")
    settings = {"baselines": baselines, "samples": 4000, "noise": 0.5, "batch_size": 4000}
    e = kam.explain(model, np.array([[2, 0]], "float32"), "gradient_shap", targets=0, **settings)
    expected = np.array([[5, 1]]) - (baselines**2).mean(0)
    np.testing.assert_allclose(e.maps, expected, atol=0.3)
    assert np.abs(e.residual) < 0.3


def test_the_map_of_a_linear_score_sums_to_its_mean_rise(images):
    model, weights, _ = linear_network(images.shape[1:])
    baselines = np.random.default_rng(0).random((4, *images.shape[1:]), "float32")
    settings = {"baselines": baselines, "samples": 8, "channels": "keep"}
    noisy = kam.explain(model, images, "gradient_shap", 1, **settings)
    np.testing.assert_allclose(noisy.residual, 0, atol=1e-4)
    strengths = np.ptp(images, axis=(1, 2, 3), keepdims=True)
    added = noisy.maps / weights[..., 1] - (images - baselines.mean(0))  # the mean of 8 draws, the same for all images
    assert 0.9 < (added / strengths).std() / (0.15 / np.sqrt(8)) < 1.1
    np.testing.assert_allclose(added[1] / strengths[1], added[0] / strengths[0], atol=1e-3)


@pytest.mark.parametrize("baselines", [None, np.random.default_rng(0).random((3, 12, 16, 3), "float32")])
def test_without_noise_it_is_expected_gradients(baselines, images):
    settings = {"samples": 7, "seed": 3, "baselines": baselines}
    expected = kam.explain(gap_network(), images, "expected_gradients", **settings)
    e = kam.explain(gap_network(), images, "gradient_shap", noise=0, **settings)
    np.testing.assert_allclose(e.maps, expected.maps, atol=1e-5 * np.abs(expected.maps).max())
    np.testing.assert_allclose(e.residual, expected.residual, atol=1e-4)


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"noise": -1}, r"^noise must be a finite number >= 0, got -1$"),
        ({"samples": 0}, r"^samples must be an integer >= 1 and <= 1,000,000, got 0$"),
        ({"baselines": np.zeros((3, 4, 4, 3))}, r"^baselines of shape \(3, 4, 4, 3\) do not fit inputs"),
    ],
)
def test_bad_settings_raise_before_any_pass(settings, error, images, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError, match=error):
        kam.explain(gap_network(), images, "gradient_shap", **settings)
