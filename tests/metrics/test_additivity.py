"""Sensitivity-n, infidelity and completeness: exact on linear models, and against loops over the same draws."""

import numpy as np
import pytest
from helpers import gap_network, linear_network
from test_curves import of

import keras_actmaps as kam
from keras_actmaps.metrics import completeness_gap, infidelity, sensitivity_n
from keras_actmaps.metrics.additivity import random_patches


@pytest.fixture
def linear(images):
    """A linear model and the exact contributions (N,H,W) of the places to its score 1."""
    model, weights, _ = linear_network(images.shape[1:])
    return model, (weights[..., 1] * images).sum(-1)


def ones(images):
    return np.ones(len(images), int)


@pytest.mark.parametrize("settings", [{}, {"n": 1, "samples": 20}, {"patch": 4, "n": 5}, {"samples": 7, "n": 191}])
def test_sensitivity_n_of_the_exact_contributions_is_one_and_of_their_opposites_minus_one(images, linear, settings):
    model, worth = linear
    for sign in (1, -1):
        e = of(sign * 3 * worth, ones(images))
        np.testing.assert_allclose(sensitivity_n(model, images, e, **settings), sign, atol=1e-4)


def test_sensitivity_n_is_the_correlation_written_out(images):
    """Ancona et al. and Quantus' SensitivityN: Pearson's correlation over random sets, here with the same draws."""
    model, e = gap_network(), of(np.random.default_rng(1).normal(size=images.shape[:3]), [0, 1, 2, 3, 0])
    found = sensitivity_n(model, images, e, n=6, samples=15, patch=(4, 2), fill="mean", seed=3)
    draws = np.random.default_rng(3).random((15, 24)).argsort(axis=1) < 6
    for image, importance, target, value in zip(images, e.maps, e.targets, found):
        sums, variants = [], [image]
        for draw in draws:
            hidden = np.kron(draw.reshape(3, 8), np.ones((4, 2))).astype(bool)
            sums.append(importance[hidden].sum())
            variants.append(np.where(hidden[..., None], image.mean((0, 1)), image))
        scores = model.predict(np.stack(variants), verbose=0)[:, target]
        np.testing.assert_allclose(value, np.corrcoef(sums, scores[0] - scores[1:])[0, 1], atol=1e-3)


def test_sensitivity_n_draws_sets_of_n_evenly(images, monkeypatch):
    draws = np.random.default_rng(0).random((4000, 20)).argsort(axis=1) < 6
    assert (draws.sum(axis=1) == 6).all()
    error = np.sqrt(0.3 * 0.7 / 4000)
    assert (np.abs(draws.mean(axis=0) - 0.3) < 5 * error).all()


def test_a_constant_map_has_no_correlation(images, linear):
    np.testing.assert_array_equal(sensitivity_n(linear[0], images, of(np.full(images.shape[:3], 0.3))), 0)


def test_random_patches_cover_every_place_that_is_inside():
    drawn = random_patches((5, 7), (2, 3), 2000, seed=0)
    corners = [np.argwhere(one).min(0).tolist() for one in drawn]
    for one, (top, left) in zip(drawn, corners):
        assert one.sum() == 6 and one[top : top + 2, left : left + 3].all()
    counts = np.unique(corners, axis=0, return_counts=True)[1]
    assert len(counts) == 4 * 5  # every corner that leaves the patch inside
    assert (np.abs(counts - 100) < 5 * 10).all()


@pytest.mark.parametrize("scaled", [True, False])
def test_infidelity_of_the_exact_contributions_is_zero(images, linear, scaled):
    model, worth = linear
    found = infidelity(model, images, of(worth, ones(images)), scaled=scaled)
    np.testing.assert_allclose(found, 0, atol=1e-6)


def test_infidelity_scaled_does_not_hang_on_the_scale_and_unscaled_does(images, linear):
    model, worth = linear
    exact, ten = of(worth, ones(images)), of(10 * worth, ones(images))
    np.testing.assert_allclose(infidelity(model, images, ten), 0, atol=1e-6)
    zero = infidelity(model, images, of(0 * worth, ones(images)), scaled=False)
    assert (zero > 0.01).all()
    np.testing.assert_allclose(infidelity(model, images, of(0 * worth, ones(images))), zero)  # b is 0
    np.testing.assert_allclose(infidelity(model, images, ten, scaled=False), 81 * zero, rtol=1e-3)
    assert exact.maps.any()


@pytest.mark.parametrize("scaled", [True, False])
def test_infidelity_is_the_expectation_written_out(images, scaled):
    """captum's infidelity with normalize=scaled, its perturbations those of multiply_by_inputs: 1 in a patch."""
    model, e = gap_network(), of(np.random.default_rng(1).normal(size=images.shape[:3]), [0, 1, 2, 3, 0])
    found = infidelity(model, images, e, samples=11, patch=(3, 5), scaled=scaled, fill=0.5, seed=2)
    patches = random_patches((12, 16), (3, 5), 11, seed=2)
    for image, importance, target, value in zip(images, e.maps, e.targets, found):
        variants = np.stack([image, *(np.where(patch[..., None], np.float32(0.5), image) for patch in patches)])
        scores = model.predict(variants, verbose=0)[:, target].astype("float64")
        sums, losses = np.array([importance[patch].sum() for patch in patches]), scores[0] - scores[1:]
        best = np.sum(sums * losses) / np.sum(sums**2) if scaled else 1
        np.testing.assert_allclose(value, np.mean((best * sums - losses) ** 2), rtol=1e-3, atol=1e-7)


def test_completeness_on_a_linear_model(images, linear):
    model, worth = linear
    shifted = worth + np.arange(5)[:, None, None] / worth[0].size
    found = completeness_gap(model, images, of(shifted, ones(images)))
    np.testing.assert_allclose(found, np.arange(5), atol=1e-4)


@pytest.mark.parametrize("baseline", ["zero", "blur", 0.4])
def test_completeness_is_what_integrated_gradients_leave_over(images, baseline):
    e = kam.explain(gap_network(), images, "integrated_gradients", baseline=baseline, steps=8)
    found = completeness_gap(gap_network(), images, e, fill=baseline)
    np.testing.assert_allclose(found, np.abs(e.residual), atol=1e-5)
    assert (completeness_gap(gap_network(), images, e, fill=0.7) > found + 1e-3).any()


def test_completeness_without_a_fill_is_conservation(images):
    e = kam.explain(gap_network(), images, "lrp")
    np.testing.assert_allclose(completeness_gap(gap_network(), images, e, fill=None), np.abs(e.residual), atol=1e-5)


@pytest.mark.parametrize(
    "metric, settings, error",
    [
        (sensitivity_n, {"n": 0}, "n=0"),
        (sensitivity_n, {"n": 193}, "n=193 are more than the 192 patches"),
        (sensitivity_n, {"samples": 0}, "samples=0"),
        (infidelity, {"samples": 1.5}, "samples=1.5"),
        (infidelity, {"patch": 13}, r"patch=13 is larger than the image, which is \(12, 16\)"),
        (infidelity, {"seed": -1}, "seed=-1"),
        (completeness_gap, {"score": None}, "no score None"),
    ],
)
def test_bad_settings_are_refused_before_any_work(metric, settings, error, images, monkeypatch):
    monkeypatch.setattr(kam.Probe, "ask", lambda *_, **__: pytest.fail("the model was asked"))
    with pytest.raises(ValueError, match=error):
        metric(gap_network(), images, of(images[..., 0]), **settings)
