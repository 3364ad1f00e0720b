"""Figures of maps of every rank, by their colors and values; masks."""

import numpy as np
import pytest

import keras_actmaps as kam


def explanation(maps):
    count = len(next(iter(maps.values())) if isinstance(maps, dict) else maps)
    return kam.Explanation(maps=maps, targets=None, scores=np.zeros(count, "float32"), method="lrp")


MAPS = np.array([[0.0, -1.0, 2.0, 1.0]], "float32")


def test_bars_have_the_values_and_signs_of_a_table():
    bars = explanation(MAPS).show().axes[0].patches
    assert [bar.get_height() for bar in bars] == [0, -1, 2, 1]
    red, blue = bars[2].get_facecolor(), bars[1].get_facecolor()
    assert red[0] > red[2] and blue[2] > blue[0]


def test_a_curve_has_the_relevance_of_each_step_as_color():
    series = np.arange(8, dtype="float32").reshape(1, 4, 2)
    curve = explanation(MAPS).show(series).axes[0].collections[0]
    np.testing.assert_array_equal(curve.get_array(), MAPS[0])
    assert [tuple(piece[1]) for piece in curve.get_segments()] == [(0, 0.5), (1, 2.5), (2, 4.5), (3, 6.5)]
    assert curve.norm.vmin == -curve.norm.vmax


def test_slices_of_a_volume_stand_side_by_side():
    volume = np.arange(1, 25, dtype="float32").reshape(1, 4, 2, 3)
    shown = explanation(volume).show().axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown, np.hstack(volume[0]))


def test_several_inputs_have_a_column_each():
    figure = explanation({"image": np.ones((1, 3, 3), "float32"), "table": MAPS}).show()
    assert [panel.get_title() for panel in figure.axes[:2]] == ["0, image", "0, table"]


def test_images_stand_before_the_map_and_below_the_overlay():
    maps = np.array([[[0, 4], [-4, 2]]], "float32")
    images = np.array([[[10, 20], [30, 40]]], "uint8")[..., None]
    figure = explanation(maps).show(images)
    image, shown, over = (panel.images[0].get_array() for panel in figure.axes[:3])
    np.testing.assert_array_equal(image, images[0].repeat(3, -1))
    np.testing.assert_array_equal(shown, maps[0])
    np.testing.assert_array_equal(over, kam.render.overlay(explanation(maps), images)[0])
    assert figure.axes[0].get_title() == "0"


def test_volumes_have_overlays_on_the_scale_of_the_whole_volume():
    maps = np.zeros((1, 9, 2, 2), "float32")
    maps[0, 1, 0, 0], maps[0, 0] = 10, 5  # slice 1 is not drawn
    volume = np.zeros((1, 9, 2, 2, 1), "uint8")
    over = explanation(maps).show(volume).axes[2].images[0].get_array()
    half = kam.render.colorize(np.float32([0.5]))[0] / 2
    assert over.shape == (2, 12, 3)
    np.testing.assert_allclose(over[:, :2], np.broadcast_to(half, (2, 2, 3)), atol=1)


def test_inputs_of_several_inputs_are_found_by_name_or_order():
    maps = {"image": np.ones((1, 3, 3), "float32"), "table": MAPS}
    image, table = np.zeros((1, 3, 3, 5)), np.zeros((1, 4))
    for inputs in ([image, table], {"image": image}, {"table": table, "image": image}):
        titles = [panel.get_title() for panel in explanation(maps).show(inputs).axes[:4]]
        assert titles == ["0, image, mean of 5 bands", "raw map", "overlay", "0, table"]
    for inputs in (image, [image], {"other": image}):
        with pytest.raises(ValueError, match="by the names of inputs, image, table"):
            explanation(maps).show(inputs)
    for inputs in (np.ones((1, 4, 4, 1)), np.ones((2, 3, 3, 1)), np.ones(3)):
        with pytest.raises(ValueError, match="do not fit maps of shape"):
            explanation(maps["image"]).show(inputs)


def test_series_and_ranks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        explanation(MAPS).show(np.ones((1, 5, 2)))
    with pytest.raises(ValueError, match="cannot be drawn"):
        explanation(np.ones((1, 2, 2, 2, 2))).show()


def test_the_suffix_decides_the_format(tmp_path):
    explanation(MAPS).save(tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"must end in \.npz"):
        explanation(MAPS).save(tmp_path / "map.jpg")
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


def test_masks_are_the_pixels_above_a_share_of_the_maximum():
    maps = np.array([[[4, 2], [2.1, -9]], [[0, 0], [-1, 0]]], "float32")
    masks = kam.masks(explanation(maps), 0.5)
    assert masks.dtype == bool and masks.tolist() == [[[True, False], [True, False]], [[False, False]] * 2]
