"""Segments: superpixels, slic, grids, labels and functions."""

import numpy as np
import pytest

from keras_actmaps.methods._segments import segment


def test_superpixels_follow_an_edge_that_a_grid_crosses():
    images = np.full((1, 24, 30, 3), 0.2, "float32")
    images[:, :, 13:] = [0.9, 0.5, 0.1]
    images += np.random.default_rng(0).normal(0, 0.02, images.shape)
    side = np.arange(30) >= 13

    def mixed(labels):
        """The share of pixels in a segment that has more pixels on the other side of the edge."""
        share = [abs(side[np.where(labels == one)[1]].mean() > 0.5) for one in range(labels.max() + 1)]
        return np.mean(np.array(share)[labels] != side)

    grid, found = (segment(images, name, 4)[0] for name in ("grid", "superpixels"))
    assert mixed(grid) > 0.05 and mixed(found) < 0.01
    np.testing.assert_array_equal(found, segment(images, "superpixels", 4)[0])


def test_every_segment_has_a_pixel_for_any_image():
    random = np.random.default_rng(1).random((2, 11, 7, 1), "float32")
    for images in (random, np.zeros((1, 11, 7, 3), "float32"), random[..., 0], random[:, :2]):
        for labels in segment(images, "superpixels", 5):
            cells = np.minimum(5, labels.shape)
            np.testing.assert_array_equal(np.unique(labels), np.arange(np.prod(cells)))


def test_a_grid_has_cells_of_equal_size():
    labels = segment(np.zeros((2, 6, 9, 3)), "grid", (2, 3))
    np.testing.assert_array_equal(labels[1], np.kron(np.arange(6).reshape(2, 3), np.ones((3, 3), int)))
    sizes = np.bincount(segment(np.zeros((1, 7, 10, 3)), "grid", 3).ravel())
    assert len(sizes) == 9 and sizes.min() == 2 * 3 and sizes.max() == 3 * 4


def test_labels_are_renumbered_and_each_feature_of_a_table_is_a_segment():
    own = np.array([[7, 7, -1], [3, 3, -1]])
    np.testing.assert_array_equal(segment(np.zeros((2, 2, 3, 1)), own)[1], [[2, 2, 0], [1, 1, 0]])
    np.testing.assert_array_equal(segment(np.zeros((2, 4)))[1], np.arange(4))


@pytest.mark.parametrize(
    "segments, cells, error",
    [
        (np.zeros((4, 5), int), 7, r"segments of shape \(4, 5\)"),
        (np.zeros((5, 4)), 7, "segments of shape .* and type float64 do not fit; pass integers"),
        ("grid", (2, 2, 2), r"cells=\(2, 2, 2\) does not fit"),
    ],
)
def test_segments_that_do_not_fit_raise(segments, cells, error):
    with pytest.raises(ValueError, match=error):
        segment(np.zeros((1, 5, 4, 3)), segments, cells)
