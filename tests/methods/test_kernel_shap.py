"""Kernel SHAP against the definition of Shapley values, over every coalition of a network with interactions."""

import itertools
import math

import numpy as np
import pytest
from helpers import forbid_passes, gap_network, linear_network
from helpers.interactions import EIGHT, FIVE, network

import keras_actmaps as kam
from keras_actmaps.methods.kernel_shap import coalitions, standard_errors


def game(model, image, labels, target, fill=0.0) -> dict:
    """The score of every coalition of segments."""
    players = range(labels.max() + 1)
    all_coalitions = [c for size in range(len(players) + 1) for c in itertools.combinations(players, size)]
    seen = np.stack([np.isin(labels, coalition) for coalition in all_coalitions])[..., None]
    scores = model.predict(np.where(seen, image, np.float32(fill)), verbose=0)[:, target].astype("float64")
    return dict(zip(all_coalitions, scores))


def shapley(scores: dict, count: int) -> np.ndarray:
    """The definition of Shapley values: the mean gain from a player over all coalitions without it."""
    values = np.zeros(count)
    for player, coalition in itertools.product(range(count), scores):
        if player not in coalition:
            share = math.factorial(len(coalition)) * math.factorial(count - len(coalition) - 1) / math.factorial(count)
            values[player] += share * (scores[tuple(sorted((*coalition, player)))] - scores[coalition])
    return values


def per_segment(maps, labels):
    return np.stack([maps[:, labels == one].sum(1) for one in range(labels.max() + 1)], axis=1)


@pytest.mark.parametrize("fill", [0.0, 0.7])
def test_is_exact_where_all_coalitions_fit(fill, images):
    model = network()
    settings = {"segments": FIVE, "samples": 32, "fill": fill}
    e = kam.explain(model, images, "kernel_shap", targets=1, batch_size=4, **settings)
    exact = np.stack([shapley(game(model, image, FIVE, 1, fill), 5) for image in images])
    np.testing.assert_allclose(per_segment(e.maps, FIVE), exact, atol=2e-5 * np.abs(exact).max(), rtol=1e-4)
    scores = game(model, images[0], FIVE, 1, fill)
    alone = [scores[(one,)] - scores[()] for one in range(5)]
    assert np.abs(exact[0] - alone).max() > 0.1 * np.abs(exact[0]).max()  # the segments do interact


def test_samples_approximate_where_not_all_fit_and_better_with_more(images):
    model = network()
    exact = np.stack([shapley(game(model, image, EIGHT, 1), 8) for image in images])

    def error(samples):
        e = kam.explain(model, images, "kernel_shap", targets=1, segments=EIGHT, samples=samples)
        return np.abs(per_segment(e.maps, EIGHT) - exact).max() / np.abs(exact).max()

    few, many = error(30), error(255)
    assert many < 0.1 and many < few / 2


TEN = np.arange(12)[:, None] // 6 * 5 + np.arange(16) * 5 // 16


def test_a_tolerance_ends_the_coalitions_of_each_image_when_its_values_are_that_precise(images):
    model, settings = network(), {"targets": 1, "segments": TEN, "samples": 1000}
    e = kam.explain(model, images, "kernel_shap", tolerance=0.02, **settings)
    loose = kam.explain(model, images, "kernel_shap", tolerance=0.2, **settings)
    assert (loose.samples == 128).all() and (e.samples > 128).any() and (e.samples < 1000).any()
    for number, image in enumerate(images):
        exact, found = shapley(game(model, image, TEN, 1), 10), per_segment(e.maps[[number]], TEN)[0]
        assert np.abs(found - exact).max() < 4 * 0.02 * np.ptp(found)
        alone = kam.explain(model, images[[number]], "kernel_shap", tolerance=0.02, batch_size=5, **settings)
        np.testing.assert_allclose(e.maps[number], alone.maps[0], atol=1e-5 * np.abs(alone.maps).max())
    exact = kam.explain(model, images, "kernel_shap", 1, segments=FIVE, tolerance=0.5, samples=100)
    assert exact.samples.tolist() == [32] * len(images)


def test_standard_errors_are_those_of_repeated_draws(images):
    scores = game(network(), images[0], EIGHT, 1)
    values, errors = [], []
    for seed in range(200):
        kept = coalitions(8, 122, seed)[0][2:]
        gains = np.array([scores[tuple(np.flatnonzero(row))] for row in kept]) - scores[()]
        even = kept.mean(axis=1, keepdims=True)
        whole = scores[tuple(range(8))] - scores[()]
        values.append(whole / 8 + np.linalg.lstsq(kept - even, gains - even[:, 0] * whole, rcond=None)[0])
        errors.append(standard_errors(kept, gains - kept @ values[-1]))
    np.testing.assert_allclose(np.mean(errors, axis=0), np.std(values, axis=0), rtol=0.2)


@pytest.mark.parametrize("samples", [16, 70, 300])
def test_the_map_sums_to_the_gain_of_the_score_over_the_baseline(samples, images):
    model = gap_network(activation="softmax")
    e = kam.explain(model, images, "kernel_shap", segments="superpixels", cells=3, samples=samples, fill="blur")
    assert np.abs(e.maps.sum((1, 2))).min() > 1e-3
    assert np.abs(e.residual).max() < 1e-5 * np.abs(e.scores).max()


def test_is_exact_on_a_linear_model_with_few_samples(images):
    model, weights, _ = linear_network(images.shape[1:])
    e = kam.explain(model, images, "kernel_shap", targets=0, segments=EIGHT, samples=40)
    exact = per_segment((weights[..., 0] * images).sum(-1), EIGHT)
    np.testing.assert_allclose(per_segment(e.maps, EIGHT), exact, rtol=1e-3, atol=1e-3)


def test_a_table_and_a_single_segment():
    images = np.random.default_rng(2).random((3, 4), "float32")
    model, weights, _ = linear_network((4,))
    e = kam.explain(model, images, "kernel_shap", targets=0)
    np.testing.assert_allclose(e.maps, weights[:, 0] * images, atol=1e-5)
    one = kam.explain(model, images, "kernel_shap", targets=0, segments=np.zeros(4, int))
    np.testing.assert_allclose(one.maps.sum(1), (weights[:, 0] * images).sum(1), atol=1e-5)


def test_coalitions_are_drawn_with_the_kernel_and_with_their_complement():
    kept, _ = coalitions(6, 20, seed=0)
    assert kept[:2].tolist() == [[0] * 6, [1] * 6] and len(kept) == 20
    np.testing.assert_array_equal(kept[2::2] + kept[3::2], 1)
    kept, _ = coalitions(30, 40_000, seed=0)
    sizes = np.arange(1, 30)
    chances = 1 / (sizes * (30 - sizes))
    chances /= chances.sum()
    found = np.bincount(kept[2:].sum(1), minlength=31)[1:30] / 39_998
    assert (np.abs(found - chances) < 5 * np.sqrt(2 * chances / 39_998)).all()
    np.testing.assert_allclose(kept[2:].mean(0), 0.5, atol=1e-12)


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"samples": 0}, "^samples must be an integer >= 1 and <= 1,000,000, got 0$"),
        ({"samples": 31, "segments": "grid", "cells": 6}, "samples=31 are too few for 36 segments; pass 38 or more"),
        ({"segments": FIVE[:-1]}, r"segments of shape \(11, 16\)"),
        ({"seed": "a"}, "^seed must be an integer >= 0 and < .*, got 'a'$"),
    ],
)
def test_bad_settings_raise_before_any_pass(settings, error, images, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError, match=error):
        kam.explain(gap_network(), images, "kernel_shap", **settings)
