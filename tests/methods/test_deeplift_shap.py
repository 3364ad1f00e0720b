"""DeepLIFT-SHAP against DeepLIFT of each baseline, closed forms and completeness; tests/peers compares with captum."""

import numpy as np
import pytest
from helpers import array, forbid_passes, gap_network, linear_network

import keras_actmaps as kam

BACKGROUND = np.random.default_rng(5).random((4, 12, 16, 3)).astype("float32")


def test_a_linear_score_is_relative_to_the_mean_baseline(images):
    model, weights, _ = linear_network(images.shape[1:])
    e = kam.explain(model, images, "deeplift_shap", targets=1, baselines=BACKGROUND, channels="keep")
    np.testing.assert_allclose(e.maps, (images - BACKGROUND.mean(0)) * weights[..., 1], rtol=1e-3, atol=1e-5)


def test_it_sums_to_the_rise_over_the_mean_score_of_the_baselines(images):
    model, targets = gap_network(), np.array([0, 1, 2, 3, 1])
    e = kam.explain(model, images, "deeplift_shap", targets, baselines=BACKGROUND)
    rises = array(model(images))[np.arange(5), targets] - array(model(BACKGROUND)).mean(0)[targets]
    np.testing.assert_allclose(e.maps.sum((1, 2)), rises, atol=1e-4 * np.abs(rises).max())
    np.testing.assert_allclose(e.residual, 0, atol=1e-4 * np.abs(rises).max())


@pytest.mark.parametrize("batch_size", [2, 7, 64])
def test_it_is_the_mean_of_deeplift_in_chunks_of_any_size(images, batch_size):
    model = gap_network()
    each = [kam.explain(model, images[:2], "deeplift", targets=2, baseline=start).maps for start in BACKGROUND]
    e = kam.explain(model, images[:2], "deeplift_shap", 2, baselines=BACKGROUND, batch_size=batch_size)
    np.testing.assert_allclose(e.maps, np.mean(each, axis=0), atol=1e-5 * np.abs(each).max())
    two = kam.explain(model, images[:2], "deeplift_shap", 2, baselines=BACKGROUND, samples=2, batch_size=batch_size)
    means = [(one + other) / 2 for place, one in enumerate(each) for other in each[place + 1 :]]
    assert min(np.abs(two.maps - mean).max() for mean in means) < 1e-5 * np.abs(each).max()  # two different ones


def test_without_baselines_the_pixels_of_each_image_are_reordered(images):
    """A linear score of equal weights does not change with the order of pixels, so that the map sums to 0."""
    model, weights, _ = linear_network(images.shape[1:])
    model.layers[-1].set_weights([np.ones_like(weights).reshape(-1, 2), np.zeros(2)])
    e = kam.explain(model, images, "deeplift_shap", targets=0)
    np.testing.assert_allclose(e.maps.sum((1, 2)), 0, atol=1e-2)
    expected = (images - images.mean((1, 2), keepdims=True)).sum(-1)  # with infinitely many orders
    assert np.corrcoef(e.maps.ravel(), expected.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"samples": 0}, r"^samples must be an integer >= 1 and <= 1,000,000 or None, got 0$"),
        ({"baselines": np.zeros((3, 4, 4, 3))}, r"^baselines of shape \(3, 4, 4, 3\) do not fit inputs"),
        ({"baselines": np.zeros((0, 12, 16, 3))}, r"^baselines of shape \(0, 12, 16, 3\) do not fit inputs"),
    ],
)
def test_bad_settings_raise_before_any_pass(settings, error, images, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError, match=error):
        kam.explain(gap_network(), images, "deeplift_shap", **settings)
