"""The network and the photograph of the README, against NumPy."""

import numpy as np
import pytest
from scipy.ndimage import convolve

import keras_actmaps as kam


def opponent(image, channel):
    """relu(x_c - 0.8 times the mean of the other two - 0.25), by hand."""
    others = [other for other in range(3) if other != channel]
    return np.maximum(image[0, ..., channel] - 0.8 * image[0][..., others].mean(-1) - 0.25, 0)


def test_the_photograph_is_that_of_matplotlib_in_0_to_1():
    _, image = kam.models.example()
    assert image.shape == (1, 150, 128, 3) and image.dtype == "float32"
    assert 0 <= image.min() < 0.05 and 0.95 < image.max() <= 1


def test_cam_of_each_color_is_the_blurred_opponent_color_times_ten():
    model, image = kam.models.example()
    e = kam.explain(model, image, "cam", targets="all")
    counts = convolve(np.ones(image.shape[1:3]), np.ones((5, 5)), mode="constant")
    for channel in range(3):
        mean = convolve(opponent(image, channel), np.ones((5, 5)), mode="constant") / counts
        np.testing.assert_allclose(e.maps[0, channel], 10 * mean, atol=1e-5)


def test_the_predicted_color_is_red_and_its_map_is_largest_on_a_stripe():
    model, image = kam.models.example()
    scores = np.array([opponent(image, channel).mean() for channel in range(3)])
    assert scores.argmax() == kam.models.COLORS.index("red") and np.sort(scores)[-2] < 0.9 * scores.max()
    e = kam.explain(model, image)
    assert e.targets.tolist() == [0]
    y, x = np.unravel_index(e.maps[0].argmax(), e.maps[0].shape)
    assert opponent(image, 0)[y, x] > 0.2


def test_a_matplotlib_without_sample_data_is_an_error(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="sample data"):
        kam.models.example()
