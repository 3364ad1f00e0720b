"""Sensitivity-n, infidelity and completeness: exact on linear models, and against loops over the same draws."""

import numpy as np
import pytest
from helpers import gap_network, linear_network
from helpers.metrics import explanation_of

import keras_actmaps as kam
from keras_actmaps.metrics import completeness_gap, infidelity, sensitivity_n
from keras_actmaps.metrics._patches import random_patches, random_sets


@pytest.fixture
def linear(images):
    """A linear model and the exact contributions (N, H, W) of the pixels to its score 1."""
    model, weights, _ = linear_network(images.shape[1:])
    return model, (weights[..., 1] * images).sum(-1)


@pytest.mark.parametrize("settings", [{}, {"n": 1, "samples": 20}, {"patch": 4, "n": 5}, {"samples": 7, "n": 191}])
def test_sensitivity_n_is_one_for_exact_contributions_and_minus_one_for_their_negatives(images, linear, settings):
    model, contributions = linear
    for sign in (1, -1):
        e = explanation_of(sign * 3 * contributions, 1)
        np.testing.assert_allclose(sensitivity_n(model, images, e, **settings), sign, atol=1e-4)


def test_sensitivity_n_equals_numpys_correlation(images):
    """Ancona et al. and Quantus' SensitivityN: Pearson's correlation over random sets, here with the same draws."""
    model, e = gap_network(), explanation_of(np.random.default_rng(1).normal(size=images.shape[:3]), [0, 1, 2, 3, 0])
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


def test_sets_of_n_are_drawn_evenly():
    draws = random_sets(20, 6, samples=4000, seed=0)
    assert (draws.sum(axis=1) == 6).all()
    error = np.sqrt(0.3 * 0.7 / 4000)
    assert (np.abs(draws.mean(axis=0) - 0.3) < 5 * error).all()


def test_a_constant_map_has_no_correlation(images, linear):
    np.testing.assert_array_equal(sensitivity_n(linear[0], images, explanation_of(np.full(images.shape[:3], 0.3))), 0)


def test_random_patches_lie_at_every_position_inside():
    drawn = random_patches((5, 7), (2, 3), 2000, seed=0)
    corners = [np.argwhere(one).min(0).tolist() for one in drawn]
    for one, (top, left) in zip(drawn, corners):
        assert one.sum() == 6 and one[top : top + 2, left : left + 3].all()
    counts = np.unique(corners, axis=0, return_counts=True)[1]
    assert len(counts) == 4 * 5  # every corner that leaves the patch inside
    assert (np.abs(counts - 100) < 5 * 10).all()


@pytest.mark.parametrize("scaled", [True, False])
def test_infidelity_of_the_exact_contributions_is_zero(images, linear, scaled):
    model, contributions = linear
    found = infidelity(model, images, explanation_of(contributions, 1), scaled=scaled)
    np.testing.assert_allclose(found, 0, atol=1e-6)


def test_scaled_infidelity_does_not_depend_on_the_scale_of_the_map(images, linear):
    model, contributions = linear
    ten = explanation_of(10 * contributions, 1)
    np.testing.assert_allclose(infidelity(model, images, ten), 0, atol=1e-6)
    zero = infidelity(model, images, explanation_of(0 * contributions, 1), scaled=False)
    assert (zero > 0.01).all()
    np.testing.assert_allclose(infidelity(model, images, explanation_of(0 * contributions, 1)), zero)  # b is 0
    np.testing.assert_allclose(infidelity(model, images, ten, scaled=False), 81 * zero, rtol=1e-3)


@pytest.mark.parametrize("scaled", [True, False])
def test_infidelity_equals_the_formula_written_as_a_loop(images, scaled):
    """captum's infidelity with normalize=scaled, its perturbations those of multiply_by_inputs: 1 in a patch."""
    model, e = gap_network(), explanation_of(np.random.default_rng(1).normal(size=images.shape[:3]), [0, 1, 2, 3, 0])
    found = infidelity(model, images, e, samples=11, patch=(3, 5), scaled=scaled, fill=0.5, seed=2)
    patches = random_patches((12, 16), (3, 5), 11, seed=2)
    for image, importance, target, value in zip(images, e.maps, e.targets, found):
        variants = np.stack([image, *(np.where(patch[..., None], np.float32(0.5), image) for patch in patches)])
        scores = model.predict(variants, verbose=0)[:, target].astype("float64")
        sums, losses = np.array([importance[patch].sum() for patch in patches]), scores[0] - scores[1:]
        best = np.sum(sums * losses) / np.sum(sums**2) if scaled else 1
        np.testing.assert_allclose(value, np.mean((best * sums - losses) ** 2), rtol=1e-3, atol=1e-7)


def test_completeness_on_a_linear_model(images, linear):
    model, contributions = linear
    shifted = contributions + np.arange(5)[:, None, None] / contributions[0].size
    found = completeness_gap(model, images, explanation_of(shifted, 1))
    np.testing.assert_allclose(found, np.arange(5), atol=1e-4)


@pytest.mark.parametrize("baseline", ["zero", "blur", 0.4])
def test_completeness_gap_is_the_residual_of_integrated_gradients(images, baseline):
    e = kam.explain(gap_network(), images, "integrated_gradients", baseline=baseline, steps=8)
    found = completeness_gap(gap_network(), images, e, fill=baseline)
    np.testing.assert_allclose(found, np.abs(e.residual), atol=1e-5)
    assert (completeness_gap(gap_network(), images, e, fill=0.7) > found + 1e-3).any()


def test_completeness_without_a_fill_is_the_residual_of_lrp(images):
    e = kam.explain(gap_network(), images, "lrp")
    np.testing.assert_allclose(completeness_gap(gap_network(), images, e, fill=None), np.abs(e.residual), atol=1e-5)


@pytest.mark.parametrize(
    "metric, settings, error",
    [
        (sensitivity_n, {"n": 0}, "n must be an integer >= 1 and <= 1,000,000 or None, got 0"),
        (sensitivity_n, {"n": 193}, "n must be at most 192, the number of patches, got 193"),
        (sensitivity_n, {"samples": 0}, "samples must be an integer >= 1 .*, got 0"),
        (infidelity, {"samples": 1.5}, "samples must be an integer >= 1 .*, got 1.5"),
        (infidelity, {"patch": 13}, r"patch must be at most as large as the image, \(12, 16\), got 13"),
        (infidelity, {"seed": -1}, "seed must be an integer >= 0 .*, got -1"),
        (
            infidelity,
            {"fill": None},
            "fill must be 'zero', 'mean', 'blur', 'pad', 'mask', a finite number or an array, got None",
        ),
        (completeness_gap, {"score": None}, "score must be 'logit', 'softmax' or 'sigmoid', got None"),
    ],
)
@pytest.mark.usefixtures("no_passes")
def test_bad_settings_are_refused_before_any_work(metric, settings, error, images):
    with pytest.raises(ValueError, match=error):
        metric(gap_network(), images, explanation_of(images[..., 0]), **settings)
