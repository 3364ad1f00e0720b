"""Feature ablation against the model itself with segments hidden, on images, tables, and functions of scores."""

import numpy as np
import pytest
from helpers import array, forbid_passes, gap_network, linear_network

import keras_actmaps as kam

FIVE = np.arange(12)[:, None] // 6 * 2 + np.arange(16) // 8
FIVE[5:7, 6:10] = 4


@pytest.mark.parametrize("fill", [0.0, 0.6])
@pytest.mark.parametrize("batch_size", [2, 64])
def test_each_pixel_has_the_drop_of_its_segment(fill, batch_size, images):
    model, images = gap_network(), images[:2]
    e = kam.explain(model, images, "feature_ablation", [1, 2], segments=FIVE, fill=fill, batch_size=batch_size)
    for one in range(5):
        hidden = np.where((one == FIVE)[..., None], np.float32(fill), images)
        drops = (array(model(images)) - array(model(hidden)))[[0, 1], [1, 2]]
        expected = np.broadcast_to(drops[:, None], (2, (one == FIVE).sum()))
        np.testing.assert_allclose(e.maps[:, one == FIVE], expected, atol=1e-5 * np.abs(e.scores).max())


def test_images_with_other_numbers_of_segments_do_not_matter(images):
    """Segments by a function: 5 of the darkest image, one of the others."""
    darkest = images[2].mean()

    def own(image):
        return FIVE if image.mean() == darkest else 0 * FIVE

    model = gap_network()
    e = kam.explain(model, images, "feature_ablation", targets=1, segments=own)
    alone = kam.explain(model, images[2:3], "feature_ablation", targets=1, segments=FIVE)
    np.testing.assert_allclose(e.maps[2], alone.maps[0], atol=1e-5)
    whole = array(model(images) - model(0 * images))[0, 1]
    np.testing.assert_allclose(e.maps[0], np.full((12, 16), whole), atol=1e-5)


def test_groups_of_the_features_of_a_table_and_a_function_of_scores():
    model, weights, _ = linear_network((4,))
    rows = np.random.default_rng(2).normal(size=(3, 4)).astype("float32")
    single = weights[:, 0] * rows
    np.testing.assert_allclose(kam.explain(model, rows, "feature_ablation", targets=0).maps, single, atol=1e-5)
    groups = np.array([7, 3, 7, 3])
    expected = np.stack([single[:, groups == one].sum(1) for one in groups], axis=1)
    for explained in (model, lambda table: table @ weights):
        e = kam.explain(explained, rows, "feature_ablation", targets=0, segments=groups)
        np.testing.assert_allclose(e.maps, expected, atol=1e-5)


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"segments": FIVE[:-1]}, r"^segments of shape \(11, 16\)"),
        ({"cells": 0}, r"^cells must be an integer >= 1"),
        ({"fill": np.zeros((5, 5))}, r"^a baseline of shape \(5, 5\) does not fit inputs"),
        ({"groups": FIVE}, r"^groups are words of token ids, .* does not take; segments= takes labels of pixels or fe"),
    ],
)
def test_bad_settings_raise_before_any_pass(settings, error, images, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError, match=error):
        kam.explain(gap_network(), images, "feature_ablation", **settings)
