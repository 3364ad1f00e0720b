"""RISE against its estimator, masks resized by OpenCV, and the exact expectation on a linear model."""

import itertools

import cv2
import numpy as np
import pytest
from helpers import array, forbid_passes, gap_network, linear_network

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
    random = np.random.default_rng(5)
    grids, corners = random.random((draws, *cells)) < 0.3, random.integers(0, (3, 4), (draws, 2))
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
