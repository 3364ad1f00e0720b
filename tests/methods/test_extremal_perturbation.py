"""Extremal perturbation on models whose score depends on one planted patch only."""

import keras
import numpy as np
import pytest
from helpers import array, forbid_passes, gap_network, linear_network
from keras import layers

import keras_actmaps as kam
from keras_actmaps.methods._mask_ascent import smooth_mask

PATCH = (slice(4, 12), slice(14, 22))  # 64 of the 24 x 32 pixels
SHARE = 64 / (24 * 32)


def detector(scale=1.0):
    """The score is the detail inside the patch, as a Laplacian filter measures it."""
    inputs = keras.Input((24, 32, 3))
    convolution = layers.Conv2D(2, 3, padding="same", activation="relu")
    x = layers.Cropping2D(((4, 12), (14, 10)))(convolution(inputs))
    model = keras.Model(inputs, layers.Dense(2, use_bias=False)(layers.Flatten()(x)))
    kernel = np.zeros((3, 3, 3, 2))
    kernel[1, 1] = [1, -1]
    convolution.set_weights([kernel - kernel.mean((0, 1)), np.zeros(2)])
    model.layers[-1].set_weights([scale * np.tile([1, -1], (128, 1))])
    return model


@pytest.fixture
def pictures():
    return np.random.default_rng(0).random((3, 24, 32, 3), "float32")


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_mask_covers_the_evidence_with_the_requested_area(scale, pictures):
    model = detector(scale)
    e = kam.explain(model, pictures, "extremal_perturbation", targets=0, area=SHARE, fill="blur")
    inside = e.maps[(slice(None), *PATCH)].sum((1, 2)) / e.maps.sum((1, 2))
    area = e.maps.mean((1, 2))
    assert e.maps.min() >= 0 and e.maps.max() <= 1
    assert inside.min() > 0.6  # 1 for a mask as sharp as the patch, SHARE for one at random
    assert np.abs(area / SHARE - 1).max() < 0.2


def test_the_masked_image_keeps_most_of_the_score(pictures):
    model = detector()
    e = kam.explain(model, pictures, "extremal_perturbation", targets=0, area=0.15, fill=0.5)
    kept, moved = e.maps[..., None], np.roll(e.maps, 12, axis=1)[..., None]
    scores, elsewhere = (array(model(m * pictures + (1 - m) * 0.5))[:, 0] for m in (kept, moved))
    assert (scores > 0.85 * e.scores).all() and (elsewhere < 0.2 * e.scores).all()


def planted(threshold, count, side=16, patch=5):
    """A network that scores the largest response to a pattern above a threshold, images with it, and where it is."""
    random = np.random.default_rng(7)
    pattern = random.permutation(np.tile([-1.0, 1.0], 38)[: patch * patch * 3]).reshape(patch, patch, 3)
    inputs = keras.Input((side, side, 3))
    convolution, dense = layers.Conv2D(1, patch), layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, dense(layers.ReLU()(layers.GlobalMaxPooling2D()(convolution(inputs)))))
    centered = pattern - pattern.mean()
    convolution.set_weights([centered[..., None] / (centered**2).sum(), np.array([-threshold])])
    dense.set_weights([np.array([[1.0, -1.0]])])
    images = random.normal(0.5, 0.1, (count, side, side, 3)).astype("float32")
    masks = np.zeros((count, side, side), bool)
    for image, mask, (y, x) in zip(images, masks, random.integers(0, side - patch + 1, (count, 2))):
        image[y : y + patch, x : x + patch] = 0.5 + 0.5 * pattern
        mask[y : y + patch, x : x + patch] = True
    return model, images, masks


@pytest.mark.parametrize("threshold", [0.1, 0.4])
def test_points_at_a_patch_that_counts_above_a_threshold_only(threshold):
    """A half mask keeps half of the response, which has no gradient behind a threshold of 0.4 of 0.5."""
    model, images, masks = planted(threshold, 20)
    e = kam.explain(model, images, "extremal_perturbation", targets=0, cells=8, steps=60)
    assert kam.metrics.pointing_game(e, masks).mean() >= 0.9
    np.testing.assert_allclose(e.scores, 0.5 - threshold, atol=1e-4)
    assert (e.fill_scores < 0.05).all()


@pytest.mark.parametrize("area", [0.05, 0.2, 0.5])
def test_the_area_is_the_requested_one_on_any_network(area, pictures):
    keras.utils.set_random_seed(0)
    model = gap_network((24, 32, 3))
    e = kam.explain(model, pictures, "extremal_perturbation", area=area)
    assert np.abs(e.maps.mean((1, 2)) / area - 1).max() < 0.15
    goal = np.arange(24 * 32) >= (1 - area) * 24 * 32
    assert np.abs(np.sort(e.maps.reshape(3, -1)) - goal).mean() < 0.15


def test_masks_are_smooth_and_reach_1_on_adjacent_cells():
    values = np.zeros((1, 6, 8), "float32")
    values[0, 2, 3:5] = 1
    mask = array(smooth_mask(values, (24, 32)))[0]
    assert mask[8:12, 12:20].min() > 0.98 and mask.argmax() // 32 in range(8, 12)
    assert mask[:2].max() < 0.02 and mask[:, :4].max() < 0.02
    assert max(np.abs(np.diff(mask, axis=axis)).max() for axis in (0, 1)) < 0.4


@pytest.mark.parametrize("seed", range(4))
def test_finds_nearly_the_best_features_of_a_linear_table(seed):
    model, weights, _ = linear_network((20,), seed=seed)
    images = np.ones((2, 20), "float32")
    e = kam.explain(model, images, "extremal_perturbation", targets=0, area=0.25, fill="zero")
    chosen, best = weights[e.maps[0] > 0.5, 0], np.sort(weights[:, 0])[-5:]
    assert len(chosen) == 5 and chosen.sum() > 0.9 * best.sum()
    assert np.abs(e.maps[0] - e.maps[1]).max() < 1e-3


def test_what_is_above_a_half_keeps_the_score_that_is_reported(pictures, tmp_path):
    model = detector()
    e = kam.explain(model, pictures, "extremal_perturbation", targets=0, fill=0.5, batch_size=2)
    masks = e.maps > 0.5
    scores = array(model(np.where(masks[..., None], pictures, np.float32(0.5))))[:, 0]
    alone = array(model(np.full_like(pictures, 0.5)))[:, 0]
    np.testing.assert_allclose(e.kept_scores, scores, rtol=1e-4)
    np.testing.assert_allclose(e.fill_scores, alone, atol=1e-5)
    np.testing.assert_allclose(e.kept_areas, masks.mean((1, 2)), rtol=1e-5)
    assert (scores >= 0.9 * e.scores).all() and e.kept_areas.max() < 0.45
    loaded = kam.Explanation.load(e.save(tmp_path / "e.npz"))[1:]
    for name in ("fill_scores", "kept_scores", "kept_areas"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(e, name)[1:])


def test_the_best_fill_is_one_that_takes_the_score_away(pictures):
    """Of the mean brightness; the mean color and a blur leave it as it is."""
    model, _, _ = linear_network((24, 32, 3))
    model.layers[-1].set_weights([np.full((24 * 32 * 3, 2), 1e-3), np.zeros(2)])
    e = kam.explain(model, pictures, "extremal_perturbation", targets=0, steps=8)
    np.testing.assert_allclose(e.fill_scores, 0, atol=1e-6)
    assert (e.scores > 0.5).all() and e.settings["fill"] == "best"


def test_inputs_without_a_first_gradient_are_named():
    inputs = keras.Input((8, 8, 3))
    mean = layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, layers.Dense(2, activation="relu")(mean))
    model.layers[-1].set_weights([np.ones((3, 2)), np.full(2, -1.5)])
    images = np.ones((4, 8, 8, 3), "float32") * np.float32([1, 0.1, 1, 0.1])[:, None, None, None]
    with pytest.warns(UserWarning, match=r"score of no pixel in 1 inputs \(3\): the first gradient is 0"):
        kam.explain(model, images, "extremal_perturbation", targets=0, steps=2, batch_size=3, fill="zero")


def test_a_seed_gives_the_same_map(pictures):
    model = detector()
    first, again, other = (
        kam.explain(model, pictures, "extremal_perturbation", steps=5, seed=seed).maps for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"area": 0}, "^area must be a finite number > 0 and < 1 or None, got 0$"),
        ({"area": 1.5}, "^area must be a finite number > 0 and < 1 or None, got 1.5$"),
        ({"area": "small"}, "^area must be a finite number > 0 and < 1 or None, got 'small'$"),
        ({"steps": 0}, "^steps must be an integer >= 1 and <= 1,000,000, got 0$"),
        ({"cells": 0}, "^cells must be an integer >= 1 .*, got 0$"),
        (
            {"fill": "grey"},
            "^fill must be 'best', 'zero', 'mean', 'blur', 'pad', 'mask', a finite number or an array, got 'grey'$",
        ),
    ],
)
def test_bad_settings_raise_before_any_pass(settings, error, images, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError, match=error):
        kam.explain(gap_network(), images, "extremal_perturbation", **settings)
