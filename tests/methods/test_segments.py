"""Segments: superpixels, slic, grids, labels and functions."""

import sys

import numpy as np
import pytest
from helpers import gap_network, linear_network

import keras_actmaps as kam
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


def halves_or_more(image):
    """Two segments of a dark image and eight of a bright one."""
    columns = 2 if image.mean() < 0.4 else 8
    return np.broadcast_to(np.arange(16) * columns // 16, (12, 16))


@pytest.fixture
def unequal(images):
    """Images for which halves_or_more gives unequal numbers of segments."""
    return images * np.array([1, 0.3, 1, 0.2, 1], "float32").reshape(-1, 1, 1, 1)


def test_a_function_gives_the_labels_of_each_image(unequal):
    labels = segment(unequal, halves_or_more)
    assert [int(one.max()) + 1 for one in labels] == [8, 2, 8, 2, 8]
    np.testing.assert_array_equal(labels[1], np.arange(16) // 8 * np.ones((12, 1), int))
    with pytest.raises(ValueError, match=r"segments of shape \(3,\)"):
        segment(unequal, lambda image: np.arange(3))


@pytest.mark.parametrize("name", ["lime", "kernel_shap"])
def test_a_map_does_not_depend_on_the_number_of_segments_of_other_images(name, unequal):
    model, settings = gap_network(), {"segments": halves_or_more, "samples": 40, "targets": 1}
    together = kam.explain(model, unequal, name, **settings).maps
    for number, image in enumerate(unequal):
        alone = kam.explain(model, image[None], name, **settings).maps[0]
        np.testing.assert_allclose(together[number], alone, rtol=1e-4, atol=1e-5 * np.abs(alone).max())
        assert len(np.unique(alone)) == len(np.unique(halves_or_more(image)))


def test_lime_and_kernel_shap_recover_a_linear_model_on_unequal_segments(unequal):
    model, weights, _ = linear_network(unequal.shape[1:])
    contributions = (weights[..., 0] * unequal).sum(-1)
    lime = kam.explain(model, unequal, "lime", targets=0, segments=halves_or_more, samples=60, ridge=0).maps
    shap = kam.explain(model, unequal, "kernel_shap", targets=0, segments=halves_or_more, samples=60).maps
    for labels, exact, by_lime, by_shap in zip(segment(unequal, halves_or_more), contributions, lime, shap):
        for number in range(labels.max() + 1):
            inside, expected = labels == number, exact[labels == number].sum()
            np.testing.assert_allclose(by_lime[inside], expected, rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(by_shap[inside].sum(), expected, rtol=1e-3, atol=1e-3)


def test_too_few_samples_for_the_segments_of_a_later_image_raise(unequal):
    with pytest.raises(ValueError, match="samples=9 are too few for 8 segments; pass 10 or more"):
        kam.explain(gap_network(), unequal[[1, 0]], "kernel_shap", segments=halves_or_more, samples=9)


def two_colors():
    """Two images with an edge at column 13, and slight noise."""
    images = np.full((2, 24, 30, 3), 0.2, "float32")
    images[:, :, 13:] = [0.9, 0.5, 0.1]
    return images + np.random.default_rng(0).normal(0, 0.02, images.shape).astype("float32")


def test_slic_gives_connected_segments_along_an_edge():
    pytest.importorskip("skimage", reason="segments='slic' needs scikit-image")
    from skimage.measure import label

    for labels in segment(two_colors(), "slic", 4):
        np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))
        assert 8 <= labels.max() + 1 <= 24
        for number in range(labels.max() + 1):
            inside = labels == number
            assert label(inside, connectivity=1).max() == 1
            assert not (inside[:, :13].any() and inside[:, 13:].any())


@pytest.mark.parametrize("name", ["lime", "kernel_shap"])
def test_slic_in_a_method_gives_one_value_for_each_segment(name):
    pytest.importorskip("skimage", reason="segments='slic' needs scikit-image")
    images = two_colors()
    maps = kam.explain(gap_network((24, 30, 3)), images, name, segments="slic", cells=3, samples=60).maps
    for labels, found in zip(segment(images, "slic", 3), maps):
        for number in range(labels.max() + 1):
            assert np.ptp(found[labels == number]) == 0
        assert len(np.unique(found)) > 1


def test_slic_without_scikit_image_says_what_to_install(images, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(ImportError, match="segments='slic' needs scikit-image: pip install scikit-image"):
        segment(images, "slic")
