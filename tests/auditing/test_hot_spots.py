"""Hot spots, patches and what replaces them, on maps and images where the answer is known."""

import numpy as np
import pytest

from keras_actmaps.auditing.hot_spots import (
    border_share,
    cut,
    fill,
    hot_spots,
    other_place,
    paste,
    patch_size,
    share_inside,
    window_sums,
)

RANDOM = np.random.default_rng(0)


def test_window_sums_equal_loops():
    maps = RANDOM.normal(size=(2, 7, 9))
    found = window_sums(maps, (3, 4))
    assert found.shape == (2, 5, 6)
    for row in range(5):
        for column in range(6):
            np.testing.assert_allclose(
                found[:, row, column], maps[:, row : row + 3, column : column + 4].sum(axis=(1, 2)), atol=1e-12
            )


@pytest.mark.parametrize("size", [(5, 5), (6, 6), (8, 5)])
def test_the_patch_is_centered_on_evidence_smaller_than_itself(size):
    maps = np.zeros((1, 40, 30))
    maps[0, 20:23, 10:13] = 1
    maps[0, 5, 5] = -100
    (place,) = hot_spots(maps, size)
    center = place + np.array(size) / 2
    assert (np.abs(center - [21.5, 11.5]) <= 1).all()


def test_a_hot_spot_in_the_corner_stays_inside():
    maps = np.zeros((2, 20, 20))
    maps[0, 0, 0] = maps[1, 19, 19] = 1
    np.testing.assert_array_equal(hot_spots(maps, (4, 4)), [[0, 0], [16, 16]])


def test_the_other_place_is_apart_from_the_hot_spot_where_there_is_room():
    for _ in range(50):
        top, left = other_place(np.array([3, 4]), (12, 12), (4, 4), RANDOM)
        assert abs(top - 3) >= 4 or abs(left - 4) >= 4
        assert 0 <= top <= 8 and 0 <= left <= 8
    assert (other_place(np.array([0, 0]), (4, 4), (4, 4), RANDOM) == 0).all()


def test_a_cut_patch_pasted_back_restores_the_image():
    images, places = RANDOM.normal(size=(3, 10, 12, 2)), np.array([[0, 0], [3, 5], [6, 8]])
    patches = cut(images, places, (4, 4))
    np.testing.assert_array_equal(patches[1], images[1, 3:7, 5:9])
    blank = paste(images, np.zeros_like(patches), places)
    assert not blank[1, 3:7, 5:9].any() and (blank[1] != images[1]).any(-1).sum() == 16
    np.testing.assert_array_equal(paste(blank, patches, places), images)


def test_filling_continues_a_linear_gradient_and_keeps_the_rest():
    rows, columns = np.mgrid[:12, :15]
    image = np.stack([2.0 * rows - 3 * columns + 1, columns + 0.5 * rows], axis=-1)
    damaged = image.copy()
    damaged[4:8, 5:9] = 100
    np.testing.assert_allclose(fill(damaged[None], np.array([[4, 5]]), (4, 4))[0], image, atol=1e-9)


def test_filling_in_a_corner_uses_the_edges_that_exist():
    image = np.ones((8, 8, 1))
    image[:3, :3] = 9
    assert (fill(image[None], np.array([[0, 0]]), (3, 3)) == 1).all()
    assert (fill(image[None], np.array([[0, 0]]), (8, 8)) == image.mean()).all()


def test_shares_of_a_uniform_map_are_those_of_the_area():
    maps = np.ones((2, 20, 40))
    maps[1] = -1
    np.testing.assert_allclose(border_share(maps), [1 - 16 * 32 / 800, np.nan])
    masks = np.zeros((2, 20, 40))
    masks[:, :5] = 1
    np.testing.assert_allclose(share_inside(maps, masks), [0.25, np.nan])
    assert patch_size(80, 28) == (16, 6)
