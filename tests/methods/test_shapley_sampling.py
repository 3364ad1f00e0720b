"""Shapley sampling against the definition of Shapley values over every coalition, and by the gain of any order."""

import math

import keras
import numpy as np
import pytest
from helpers import array, forbid_passes, gap_network, linear_network
from helpers.interactions import EIGHT, FIVE, network
from keras import layers

import keras_actmaps as kam


def shapley(model, image, labels, target, fill=0.0):
    """sum_z |z|! (n - |z| - 1)! / n! (Y(z and i) - Y(z)), with a bit of a number for each segment of z."""
    count = labels.max() + 1
    kept = np.arange(2**count)[:, None] >> np.arange(count) & 1
    seen = kept[:, labels][..., None].astype(bool)
    scores = array(model(np.where(seen, image, np.float32(fill))))[:, target].astype("float64")
    shares = np.array([1 / (count * math.comb(count - 1, size)) for size in range(count)])
    return np.array(
        [
            sum(shares[kept[z].sum()] * (scores[z | 1 << one] - scores[z]) for z in np.flatnonzero(kept[:, one] == 0))
            for one in range(count)
        ]
    )


def per_segment(maps, labels):
    return np.stack([maps[:, labels == one].sum(1) for one in range(labels.max() + 1)], axis=1)


@pytest.mark.parametrize("fill", [0.0, 0.7])
def test_all_orders_give_the_exact_values(fill, images):
    model, images = network(), images[:2]
    settings = {"segments": FIVE, "permutations": math.factorial(5), "fill": fill}
    e = kam.explain(model, images, "shapley_sampling", targets=1, batch_size=50, **settings)
    exact = np.stack([shapley(model, image, FIVE, 1, fill) for image in images])
    np.testing.assert_allclose(per_segment(e.maps, FIVE), exact, atol=2e-5 * np.abs(exact).max())


def test_random_orders_approach_the_exact_values_and_the_mean_over_seeds_is_not_biased(images):
    model, image = network(), images[:1]
    exact = shapley(model, image[0], EIGHT, 1)

    def values(permutations, seed):
        settings = {"segments": EIGHT, "permutations": permutations, "seed": seed, "batch_size": 500}
        return per_segment(kam.explain(model, image, "shapley_sampling", 1, **settings).maps, EIGHT)[0]

    few = np.stack([values(6, seed) for seed in range(30)])
    errors = few.std(axis=0, ddof=1)
    assert (np.abs(few.mean(axis=0) - exact) < 4 * errors / np.sqrt(30)).all() and errors.max() > 1e-3
    assert np.abs(values(400, 0) - exact).max() < 0.5 * errors.max()


@pytest.mark.parametrize("permutations", [1, 2, 5])
def test_the_map_sums_to_the_gain_for_any_number_of_orders(permutations, images):
    model, targets = gap_network(), np.array([0, 1, 2, 3, 1])
    e = kam.explain(model, images, "shapley_sampling", targets, cells=3, permutations=permutations, fill="mean")
    filled = np.broadcast_to(images.mean((1, 2), keepdims=True), images.shape)
    gains = (array(model(images)) - array(model(filled)))[np.arange(5), targets]
    np.testing.assert_allclose(e.maps.sum((1, 2)), gains, atol=1e-5 * np.abs(e.scores).max())
    np.testing.assert_allclose(e.residual, 0, atol=1e-5 * np.abs(e.scores).max())


def test_a_pair_of_orders_is_an_order_and_its_reverse():
    """x1 x2 of a table: 0 for the feature that comes first and all for the other, in turn."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layers.Multiply()([inputs[:, :1], inputs[:, 1:]]))
    row = np.array([[2, 3]], "float32")
    first, both = (kam.explain(model, row, "shapley_sampling", 0, permutations=count).maps for count in (1, 2))
    assert sorted(first[0].tolist()) == [0, 6] and both.tolist() == [[3, 3]]


def test_one_order_is_exact_for_linear_scores_of_a_model_or_a_function():
    model, weights, _ = linear_network((4,))
    rows = np.random.default_rng(2).normal(size=(3, 4)).astype("float32")
    single, groups = weights[:, 0] * rows, np.array([1, 0, 1, 1])
    expected = np.stack([single[:, groups == one].mean(1) for one in groups], axis=1)
    for explained in (model, lambda table: table @ weights):
        e = kam.explain(explained, rows, "shapley_sampling", 0, permutations=1)
        np.testing.assert_allclose(e.maps, single, atol=1e-5)
        grouped = kam.explain(explained, rows, "shapley_sampling", 0, permutations=1, segments=groups)
        np.testing.assert_allclose(grouped.maps, expected, atol=1e-5)


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"permutations": 0}, r"^permutations must be an integer >= 1 and <= 1,000,000, got 0$"),
        ({"segments": FIVE[:-1]}, r"^segments of shape \(11, 16\)"),
        ({"seed": "a"}, r"^seed must be an integer >= 0 and < .*, got 'a'$"),
    ],
)
def test_bad_settings_raise_before_any_pass(settings, error, images, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError, match=error):
        kam.explain(gap_network(), images, "shapley_sampling", **settings)
