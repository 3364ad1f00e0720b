"""RISE against its estimator, masks resized by OpenCV, and the exact expectation on a linear model."""

import itertools

import cv2
import numpy as np
import pytest
from helpers import array, forbid_passes, gap_network, linear_network
from scipy.stats import qmc

import keras_actmaps as kam
from keras_actmaps.methods.rise import enlarged_masks, mask_tables


def random_masks(inputs, samples, cells, probability, seed):
    """The masks (samples, H, W) of the method."""
    rows, tables = mask_tables(inputs, samples, cells, probability, seed)
    return array(enlarged_masks(None, rows(np.arange(samples)), tables))[:, 0]


def enlarged(grid, shape, corner):
    """A grid (h, w) as a mask of `shape`: resized to one cell more than the image, cropped at the corner."""
    cell = [-(-side // count) for side, count in zip(shape, grid.shape)]
    height, width = ((count + 1) * side for count, side in zip(grid.shape, cell))
    large = cv2.resize(grid.astype("float32"), (width, height), interpolation=cv2.INTER_LINEAR)
    return large[corner[0] : corner[0] + shape[0], corner[1] : corner[1] + shape[1]]


def expected(contributions, cells, probability):
    """E[(Y - E Y) M] / p where Y = sum(c M): (1 - p) mean_s A_s A_s' c, with A_s the resizing for shift s."""
    shape = contributions.shape
    shifts = itertools.product(*(range(-(-side // count)) for side, count in zip(shape, cells)))
    grids = np.eye(np.prod(cells)).reshape(-1, *cells)
    resizing = [np.stack([enlarged(grid, shape, shift) for grid in grids], -1) for shift in shifts]
    return (1 - probability) * np.mean([A @ np.tensordot(A, contributions, ((0, 1), (0, 1))) for A in resizing], axis=0)


def test_masks_are_enlarged_and_cropped_grids():
    shape, cells, draws = (9, 14), (3, 4), 50
    masks = random_masks(np.zeros((1, *shape, 2)), draws, cells, 0.3, seed=5)
    numbers = qmc.Sobol(14, seed=np.random.default_rng(5)).random_base2(6)[:draws]
    grids, corners = numbers[:, 2:].reshape(-1, *cells) < 0.3, (numbers[:, :2] * (3, 4)).astype(int)
    oracle = [enlarged(grid, shape, corner) for grid, corner in zip(grids, corners)]
    np.testing.assert_allclose(masks, oracle, atol=1e-5)
    assert len(np.unique(corners, axis=0)) == 12


def test_every_pixel_is_kept_with_the_probability():
    draws, probability = 20_000, 0.3
    masks = random_masks(np.zeros((1, 9, 14, 1)), draws, 4, probability, seed=0)
    error = masks.std(axis=0) / np.sqrt(draws)
    assert (np.abs(masks.mean(axis=0) - probability) < 5 * error).all()


@pytest.mark.parametrize("centred", [True, False])
def test_is_the_estimator_of_the_paper(centred, images):
    settings = {"samples": 37, "cells": 3, "probability": 0.4, "seed": 7}
    model = gap_network()
    e = kam.explain(model, images, "rise", targets=3, centred=centred, fill="mean", batch_size=4, **settings)
    masks = random_masks(images, 37, 3, 0.4, 7)
    for image, found in zip(images, e.maps):
        seen = masks[..., None] * image + (1 - masks[..., None]) * image.mean((0, 1))
        scores = model.predict(seen, verbose=0)[:, 3]
        weights = scores - scores.mean() if centred else scores
        np.testing.assert_allclose(found, np.tensordot(weights, masks, 1) / (37 * 0.4), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("centred", [True, False])
def test_recovers_a_linear_model_in_expectation(centred):
    draws, probability, cells = 6000, 0.4, (2, 2)
    images = np.random.default_rng(2).random((2, 6, 8, 3), "float32")
    model, weights, biases = linear_network(images.shape[1:])
    settings = {"samples": draws, "cells": cells, "probability": probability, "centred": centred}
    e = kam.explain(model, images, "rise", targets=1, batch_size=500, **settings)
    masks = random_masks(images, draws, cells, probability, 0)
    for image, found in zip(images, e.maps):
        contributions = (weights[..., 1] * image).sum(-1)
        exact = expected(contributions, cells, probability)
        mean = biases[1] + probability * contributions.sum()
        scores = biases[1] + np.tensordot(masks, contributions, 2)
        spread = ((scores - mean * centred)[:, None, None] * masks / probability).std(axis=0) / np.sqrt(draws)
        assert (np.abs(found - exact - (0 if centred else mean)) < 5 * spread).all()
        assert np.abs(exact).max() > 20 * spread.mean()


def test_quasi_random_masks_need_fewer_samples_than_independent_ones():
    """On a linear model, the error is less than half of the standard error of independent masks."""
    image = np.random.default_rng(2).random((1, 8, 8, 1), "float32")
    model, weights, _ = linear_network(image.shape[1:])
    contributions = (weights[..., 1] * image[0]).sum(-1)
    exact, masks = expected(contributions, (4, 4), 0.5), random_masks(image, 4096, 4, 0.5, 0)
    scores = np.tensordot(masks, contributions - contributions.mean(), 2)
    independent = ((scores - scores.mean())[:, None, None] * masks / 0.5).std(axis=0) / np.sqrt(256)
    errors = [
        kam.explain(model, image, "rise", 1, samples=256, cells=4, seed=seed, batch_size=256).maps[0] - exact
        for seed in range(4)
    ]
    assert np.sqrt(np.mean(np.square(errors))) < 0.5 * np.sqrt(np.mean(independent**2))


def test_a_tolerance_stops_each_image_at_its_standard_error(images):
    model, settings = gap_network(), {"targets": 3, "cells": 3, "seed": 2}
    e = kam.explain(model, images, "rise", tolerance=0.1, samples=4096, batch_size=7, **settings)
    assert len(np.unique(e.samples)) > 1 and (e.samples % 128 == 0).all()
    for number, image in enumerate(images[:2]):
        masks = random_masks(images[:1], 4096, 3, 0.5, 2)
        scores = model.predict(masks[: e.samples[number], ..., None] * image, verbose=0)[:, 3].astype("float64")
        errors = {}
        for count in range(128, e.samples[number] + 1, 128):
            shares = (scores[:count] - scores[:count].mean())[:, None, None] * masks[:count]
            errors[count] = (shares.std(axis=0) / np.sqrt(count)).max() / np.ptp(shares.mean(axis=0))
        assert [count for count, error in errors.items() if error <= 0.1] == [e.samples[number]]
        same = kam.explain(model, images[[number]], "rise", samples=int(e.samples[number]), **settings)
        np.testing.assert_allclose(e.maps[number], same.maps[0], atol=1e-5 * np.abs(same.maps).max())


def test_a_tolerance_that_is_not_reached_warns(images):
    with pytest.warns(UserWarning, match=r"rise: tolerance=0\.001 is not reached in 200 samples"):
        e = kam.explain(gap_network(), images[:1], "rise", tolerance=0.001, samples=200, cells=3)
    assert e.samples.tolist() == [200]


def test_features_of_a_table_are_masked_one_by_one():
    images = np.random.default_rng(2).random((2, 5), "float32")
    model, weights, _ = linear_network((5,))
    e = kam.explain(model, images, "rise", targets=0, samples=6000, probability=0.5, batch_size=500)
    contributions = weights[:, 0] * images  # E[(Y - E Y) M_j] / p = (1 - p) w_j x_j
    spread = np.abs(contributions).sum(1, keepdims=True) / np.sqrt(6000)
    assert (np.abs(e.maps - contributions / 2) < 5 * spread).all()
    assert set(np.unique(random_masks(images, 100, 7, 0.5, 0))) == {0, 1}


def test_the_map_depends_on_the_seed_only(images):
    model = gap_network()
    first, again, other = (kam.explain(model, images, "rise", samples=20, seed=seed).maps for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1 * np.abs(first).max()


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"samples": 0}, "^samples must be an integer >= 1 and <= 1,000,000, got 0$"),
        ({"probability": 0}, "^probability must be a finite number > 0 and < 1, got 0$"),
        ({"probability": 1.5}, "^probability must be a finite number > 0 and < 1, got 1.5$"),
        ({"cells": 0}, "^cells must be an integer >= 1 .*, got 0$"),
        ({"seed": -1}, "^seed must be an integer >= 0 and < .*, got -1$"),
    ],
)
def test_bad_settings_raise_before_any_pass(settings, error, images, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError, match=error):
        kam.explain(gap_network(), images, "rise", **settings)
