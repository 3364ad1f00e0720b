"""Bilinear resizing against OpenCV's."""

import numpy as np
import pytest
from helpers import enlarged

from keras_actmaps.core.resize import resize


@pytest.mark.parametrize("small, large", [((7, 7), (224, 224)), ((3, 5), (8, 31)), ((1, 4), (6, 4)), ((8, 6), (5, 3))])
def test_is_the_bilinear_resize_of_opencv(small, large):
    maps = np.random.default_rng(0).normal(size=(2, 3, *small)).astype("float32")
    expected = np.stack([enlarged(several, large) for several in maps])
    np.testing.assert_allclose(resize(maps, large), expected, atol=1e-5)


def test_stays_in_range_and_takes_any_rank():
    maps = np.random.default_rng(0).random((2, 3, 4, 5)).astype("float32")
    larger = resize(maps, (9, 8, 7))
    assert larger.shape == (2, 9, 8, 7)
    assert maps.min() <= larger.min() and larger.max() <= maps.max()
    np.testing.assert_allclose(resize(np.array([[0.0, 1.0]]), (4,)), [[0, 0.25, 0.75, 1]])
