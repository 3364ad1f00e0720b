"""Extremal perturbation on models whose score depends on one planted patch only."""

import keras
import numpy as np
import pytest
from helpers import array, forbid_passes, gap_network, linear_network
from keras import layers

import keras_actmaps as kam
from keras_actmaps.methods.extremal_perturbation import smooth_mask

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
    e = kam.explain(model, pictures, "extremal_perturbation", targets=0, area=SHARE)
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
        ({"area": 0}, "^area must be a finite number > 0 and < 1, got 0$"),
        ({"area": 1.5}, "^area must be a finite number > 0 and < 1, got 1.5$"),
        ({"area": "small"}, "^area must be a finite number > 0 and < 1, got 'small'$"),
        ({"steps": 0}, "^steps must be an integer >= 1 and <= 1,000,000, got 0$"),
        ({"cells": 0}, "^cells must be an integer >= 1 .*, got 0$"),
        (
            {"fill": "grey"},
            "^fill must be 'zero', 'mean', 'blur', 'pad', 'mask', a finite number or an array, got 'grey'$",
        ),
    ],
)
def test_bad_settings_raise_before_any_pass(settings, error, images, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError, match=error):
        kam.explain(gap_network(), images, "extremal_perturbation", **settings)
