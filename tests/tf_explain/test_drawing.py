"""How tf-explain's classes draw: grids, heat maps, gray pictures and files."""

import cv2
import numpy as np
import pytest

from keras_actmaps.tf_explain import core
from keras_actmaps.tf_explain.utils.display import heatmap_display, image_to_uint_255
from keras_actmaps.tf_explain.utils.image import transform_to_normalized_grayscale


def test_a_saved_grid_is_read_back_and_a_file_that_cannot_be_written_is_an_error(tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (8, 10, 3), "uint8")
    core.GradCAM().save(colors, tmp_path / "new" / "folder", "grid.png")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "new" / "folder" / "grid.png"))[..., ::-1], colors)
    core.SmoothGrad().save(colors[..., 0], str(tmp_path), "gray.png")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "gray.png"), cv2.IMREAD_UNCHANGED), colors[..., 0])
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(OSError, match=r"cannot write '.*taken.png'"):
        core.SmoothGrad().save(colors[..., 0], tmp_path, "taken.png")


@pytest.mark.parametrize(
    "image, pixels",
    [
        ([0, 0.5, 1], [0, 127, 255]),
        ([-1, 0, 1], [0, 127, 255]),
        ([0.0, 128.0, 255.0], [0, 128, 255]),
        ([-120.0, 0.0, 130.0], [0, 122, 255]),
        ([-3.0, -3.0, -3.0], [0, 0, 0]),
        (np.array([0, 7, 255], "uint8"), [0, 7, 255]),
    ],
)
def test_images_of_any_range_become_pixels_that_do_not_wrap_around(image, pixels):
    np.testing.assert_array_equal(image_to_uint_255(np.asarray(image)), pixels)


def test_a_constant_map_has_the_lowest_color():
    image = np.zeros((6, 8, 3), "float32")
    for value in (0, 0.1, -7):
        drawn = heatmap_display(np.full((2, 3), value, "float32"), image)
        lowest = cv2.applyColorMap(np.zeros((1, 1), "uint8"), cv2.COLORMAP_VIRIDIS)[0, 0, ::-1]
        np.testing.assert_array_equal(drawn, np.broadcast_to(lowest, drawn.shape))


def test_differences_of_rounding_are_not_drawn():
    noise = 1e-8 * np.random.default_rng(0).random((1, 6, 8, 3))
    assert (transform_to_normalized_grayscale(0.1 + noise).numpy() == 0).all()
    image = np.zeros((6, 8, 3), "float32")
    np.testing.assert_array_equal(
        heatmap_display(0.1 + noise[0, ..., 0], image), heatmap_display(0 * noise[0, ..., 0], image)
    )
    assert np.ptp(heatmap_display(1e4 * noise[0, ..., 0], image)) > 100


def test_gray_pictures_do_not_depend_on_their_neighbors_and_rise_with_the_map():
    attributions = np.random.default_rng(0).random((3, 6, 8, 2)) ** 4 * np.array([1, 50, 0]).reshape(3, 1, 1, 1)
    together = transform_to_normalized_grayscale(attributions).numpy()
    tiny = transform_to_normalized_grayscale(attributions * 1e-9).numpy()
    np.testing.assert_allclose(together.astype(int), tiny, atol=1)
    alone = np.concatenate([transform_to_normalized_grayscale(one[None]).numpy() for one in attributions])
    np.testing.assert_array_equal(together, alone)
    assert (together[2] == 0).all()
    for picture, summed in zip(together[:2], attributions.sum(-1)):
        assert (np.diff(picture.ravel()[summed.argsort(axis=None)].astype(int)) >= 0).all()
