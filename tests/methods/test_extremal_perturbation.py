"""Extremal perturbation on models whose score rests on one planted patch."""

import keras
import numpy as np
import pytest
from helpers import array, gap_network, linear_network
from keras import layers

import keras_actmaps as kam
from keras_actmaps.methods.extremal_perturbation import smooth_mask

PATCH = (slice(4, 12), slice(14, 22))  # 64 of the 24 x 32 pixels
SHARE = 64 / (24 * 32)


def detector(scale=1.0):
    """The detail, as a Laplacian finds it, inside the patch, and nothing else."""
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
def test_the_mask_lies_on_what_the_score_rests_on_at_the_area_asked_for(scale, pictures):
    model = detector(scale)
    e = kam.explain(model, pictures, "extremal_perturbation", targets=0, area=SHARE)
    inside = e.maps[(slice(None), *PATCH)].sum((1, 2)) / e.maps.sum((1, 2))
    area = e.maps.mean((1, 2))
    assert e.maps.min() >= 0 and e.maps.max() <= 1
    assert inside.min() > 0.6  # 1 would be a mask with edges as sharp as the patch's; SHARE, one at random
    assert np.abs(area / SHARE - 1).max() < 0.2


def test_what_the_mask_keeps_keeps_most_of_the_score(pictures):
    model = detector()
    e = kam.explain(model, pictures, "extremal_perturbation", targets=0, area=0.15, fill=0.5)
    kept, moved = e.maps[..., None], np.roll(e.maps, 12, axis=1)[..., None]
    scores, elsewhere = (array(model(m * pictures + (1 - m) * 0.5))[:, 0] for m in (kept, moved))
    assert (scores > 0.85 * e.scores).all() and (elsewhere < 0.2 * e.scores).all()


@pytest.mark.parametrize("area", [0.05, 0.2, 0.5])
def test_the_area_is_kept_on_any_network(area, pictures):
    keras.utils.set_random_seed(0)
    model = gap_network((24, 32, 3))
    e = kam.explain(model, pictures, "extremal_perturbation", area=area)
    assert np.abs(e.maps.mean((1, 2)) / area - 1).max() < 0.15
    goal = np.arange(24 * 32) >= (1 - area) * 24 * 32
    assert np.abs(np.sort(e.maps.reshape(3, -1)) - goal).mean() < 0.15


def test_masks_are_smooth_and_reach_1_on_a_cell_and_its_neighbours():
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
        ({"area": 0}, "area=0 is not between 0 and 1"),
        ({"area": 1.5}, "area=1.5 is not between 0 and 1"),
        ({"area": "small"}, "area='small' is not between 0 and 1"),
        ({"steps": 0}, "steps=0"),
        ({"cells": 0}, "cells=0 does not fit"),
        ({"fill": "grey"}, "no baseline 'grey'"),
    ],
)
def test_bad_settings_are_refused_before_any_work(settings, error, images, monkeypatch):
    monkeypatch.setattr(kam.Probe, "ask", lambda *_, **__: pytest.fail("the model was asked"))
    with pytest.raises(ValueError, match=error):
        kam.explain(gap_network(), images, "extremal_perturbation", **settings)
