"""LIME against the weights of linear models, and against the normal equations."""

import numpy as np
import pytest
from helpers import forbid_passes, gap_network, linear_network

import keras_actmaps as kam

OWN = np.arange(12)[:, None] // 5 * 2 + np.arange(16) // 9  # six segments


def test_recovers_the_weights_of_a_linear_model(images):
    model, weights, _ = linear_network(images.shape[1:])
    e = kam.explain(model, images, "lime", targets=1, segments=OWN, samples=40, ridge=0, batch_size=4)
    contributions = (weights[..., 1] * images).sum(-1)
    for number in range(6):
        inside = number == OWN
        exact = contributions[:, inside].sum(1, keepdims=True)
        np.testing.assert_allclose(e.maps[:, inside], np.broadcast_to(exact, (5, inside.sum())), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("width, ridge", [(0.25, 1.0), (10.0, 0.1)])
def test_is_the_weighted_ridge_regression(width, ridge, images):
    model, samples = gap_network(), 25
    settings = {"segments": OWN, "samples": samples, "width": width, "ridge": ridge, "fill": "mean", "seed": 3}
    e = kam.explain(model, images, "lime", targets=0, batch_size=7, **settings)
    kept = np.random.default_rng(3).integers(0, 2, (samples, 6))
    kept[0] = 1
    cosine = kept.sum(1) / np.maximum(np.sqrt(kept.sum(1) * 6), 1e-9)
    importance = np.diag(np.exp(-((1 - cosine) ** 2) / width**2))
    inputs = np.column_stack([np.ones(samples), kept])
    penalty = ridge * np.diag([0, 1, 1, 1, 1, 1, 1])
    for image, found in zip(images, e.maps):
        seen = kept[:, OWN, None]
        scores = model.predict(seen * image + (1 - seen) * image.mean((0, 1)), verbose=0)[:, 0].astype("float64")
        fitted = np.linalg.solve(inputs.T @ importance @ inputs + penalty, inputs.T @ importance @ scores)
        np.testing.assert_allclose(found, fitted[1:][OWN], rtol=1e-3, atol=1e-5)


def test_the_map_depends_on_the_seed_only(images):
    model = gap_network()
    first, again, other = (kam.explain(model, images, "lime", samples=60, seed=seed).maps for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01 * np.abs(first).max()


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"samples": 0}, "^samples must be an integer >= 1 and <= 1,000,000, got 0$"),
        ({"width": 0}, "^width must be a finite number > 0, got 0$"),
        ({"ridge": -1}, "^ridge must be a finite number >= 0, got -1$"),
        ({"segments": OWN.T}, r"segments of shape \(16, 12\)"),
        (
            {"fill": "grey"},
            "^fill must be 'zero', 'mean', 'blur', 'pad', 'mask', a finite number or an array, got 'grey'$",
        ),
    ],
)
def test_bad_settings_raise_before_any_pass(settings, error, images, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError, match=error):
        kam.explain(gap_network(), images, "lime", **settings)
