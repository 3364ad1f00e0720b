"""Segments: superpixels, grids and the user's own."""

import numpy as np
import pytest

from keras_actmaps.methods._segments import segmented


def test_superpixels_follow_an_edge_that_the_grid_cuts():
    images = np.full((1, 24, 30, 3), 0.2, "float32")
    images[:, :, 13:] = [0.9, 0.5, 0.1]
    images += np.random.default_rng(0).normal(0, 0.02, images.shape)
    side = np.arange(30) >= 13

    def mixed(labels):
        """The share of pixels that lie in a segment with more pixels of the other side."""
        share = [abs(side[np.where(labels == one)[1]].mean() > 0.5) for one in range(labels.max() + 1)]
        return np.mean(np.array(share)[labels] != side)

    grid, found = (segmented(images, name, 4)[0] for name in ("grid", "superpixels"))
    assert mixed(grid) > 0.05 and mixed(found) < 0.01
    np.testing.assert_array_equal(found, segmented(images, "superpixels", 4)[0])


def test_every_segment_has_a_pixel_whatever_the_image():
    random = np.random.default_rng(1).random((2, 11, 7, 1), "float32")
    for images in (random, np.zeros((1, 11, 7, 3), "float32"), random[..., 0], random[:, :2]):
        for labels in segmented(images, "superpixels", 5):
            cells = np.minimum(5, labels.shape)
            np.testing.assert_array_equal(np.unique(labels), np.arange(np.prod(cells)))


def test_a_grid_has_cells_of_equal_size():
    labels = segmented(np.zeros((2, 6, 9, 3)), "grid", (2, 3))
    np.testing.assert_array_equal(labels[1], np.kron(np.arange(6).reshape(2, 3), np.ones((3, 3), int)))
    sizes = np.bincount(segmented(np.zeros((1, 7, 10, 3)), "grid", 3).ravel())
    assert len(sizes) == 9 and sizes.min() == 2 * 3 and sizes.max() == 3 * 4


def test_ones_own_segments_are_numbered_anew_and_features_of_a_table_stand_alone():
    own = np.array([[7, 7, -1], [3, 3, -1]])
    np.testing.assert_array_equal(segmented(np.zeros((2, 2, 3, 1)), own)[1], [[2, 2, 0], [1, 1, 0]])
    np.testing.assert_array_equal(segmented(np.zeros((2, 4)))[1], np.arange(4))


@pytest.mark.parametrize(
    "segments, cells, error",
    [
        (np.zeros((4, 5), int), 7, r"segments of shape \(4, 5\)"),
        (np.zeros((5, 4)), 7, "segments of shape .* and type float64 do not fit; give integers"),
        ("quickshift", 7, "no segments 'quickshift'; there are: superpixels, grid"),
        ("grid", (2, 2, 2), r"cells=\(2, 2, 2\) does not fit"),
        ("superpixels", 0, "cells=0 does not fit"),
    ],
)
def test_segments_that_do_not_fit_are_refused(segments, cells, error):
    with pytest.raises(ValueError, match=error):
        segmented(np.zeros((1, 5, 4, 3)), segments, cells)
