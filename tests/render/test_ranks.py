"""Figures of maps of every rank, by their colors and values; masks."""

import matplotlib
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


def test_each_channel_of_a_series_is_a_curve_in_the_color_of_its_relevance():
    series = np.arange(8, dtype="float32").reshape(1, 4, 2)
    panels = explanation(MAPS).show(series).axes[:2]
    for channel, panel in enumerate(panels):
        curve = panel.collections[0]
        np.testing.assert_array_equal(curve.get_array(), MAPS[0])
        assert [tuple(piece[1]) for piece in curve.get_segments()] == list(enumerate(series[0, :, channel]))
        assert curve.norm.vmin == -curve.norm.vmax
        curve.update_scalarmappable()
        drawn = curve.get_colors()
        # step 2 has the largest relevance: dark red, the end of the scale; step 0 has none: the middle
        np.testing.assert_allclose(drawn[2], matplotlib.colormaps["RdBu_r"](1.0))
        np.testing.assert_allclose(drawn[0], matplotlib.colormaps["RdBu_r"](0.5))


def test_many_channels_of_a_series_are_drawn_as_their_mean():
    series = np.random.default_rng(0).random((1, 4, 13))
    figure = explanation(MAPS).show(series)
    (curve,) = (panel.collections[0] for panel in figure.axes[:1])
    heights = [piece[1][1] for piece in curve.get_segments()]
    np.testing.assert_allclose(heights, series[0].mean(-1))
    assert len(figure.axes) == 2 and figure.axes[0].get_title() == "0, mean of 13 channels"


def test_named_features_stand_by_magnitude_with_their_own_names():
    figure = kam.render.explanation_figure(explanation(MAPS), names=["age", "height", "mass", "pulse"])
    panel = figure.axes[0]
    names = [label.get_text() for label in panel.get_yticklabels()]
    assert [(name, bar.get_width()) for name, bar in zip(names, panel.patches)] == [
        ("mass", 2), ("height", -1), ("pulse", 1), ("age", 0)
    ]  # fmt: skip
    assert panel.yaxis_inverted()
    with pytest.raises(ValueError, match="names must be 4, one per feature, got 2"):
        kam.render.explanation_figure(explanation(MAPS), names=["age", "height"])
    with pytest.raises(ValueError, match="names must be 2, one per channel, got 4"):
        kam.render.explanation_figure(explanation(MAPS), np.ones((1, 4, 2)), names=["a", "b", "c", "d"])


def test_slices_of_a_volume_stand_in_rows():
    volume = np.arange(1, 25, dtype="float32").reshape(1, 4, 2, 3)
    shown = explanation(volume).show().axes[0].images[0].get_array()
    one, two, three, four = volume[0]
    np.testing.assert_array_equal(shown, np.vstack([np.hstack([one, two]), np.hstack([three, four])]))


def test_the_slices_with_the_largest_magnitudes_are_drawn():
    maps = np.zeros((1, 20, 2, 2), "float32")
    for number, value in {3: 1, 4: -5, 9: 2, 11: 3, 12: 4, 18: 1, 19: 0.5}.items():
        maps[0, number, 0, 1] = value
    panel = explanation(maps).show().axes[0]
    assert [text.get_text() for text in panel.texts] == ["3", "4", "9", "11", "12", "18"]
    expected = np.vstack([np.hstack(maps[0, [3, 4, 9]]), np.hstack(maps[0, [11, 12, 18]])])
    np.testing.assert_array_equal(panel.images[0].get_array(), expected)
    empty = explanation(np.zeros((1, 11, 2, 2), "float32")).show().axes[0]
    assert [text.get_text() for text in empty.texts] == ["0", "2", "4", "6", "8", "10"]


def test_volumes_have_overlays_on_the_scale_of_the_whole_volume():
    maps = np.zeros((1, 9, 2, 2), "float32")
    maps[0, 1, 0, 0], maps[0, 3:8] = 10, 5
    volume = np.zeros((1, 9, 2, 2, 1), "uint8")
    over = explanation(maps).show(volume).axes[2].images[0].get_array()
    full, half, zero = (kam.render.colorize(np.float32([value]))[0] / 2 for value in (1, 0.5, 0))
    assert over.shape == (4, 6, 3)
    for pixel, color in ((over[0, 0], full), (over[0, 1], zero), (over[3, 5], half), (over[0, 2], half)):
        np.testing.assert_allclose(pixel, color, atol=1)


def test_opacity_and_contours_of_overlays_are_those_of_overlay():
    random = np.random.default_rng(0)
    maps, images = random.normal(size=(1, 6, 5)).astype("float32"), random.integers(0, 255, (1, 6, 5, 3), "uint8")
    style = {"alpha": "map", "contours": 0.4}
    shown = kam.render.explanation_figure(explanation(maps), images, **style).axes[2].images[0].get_array()
    np.testing.assert_array_equal(shown, kam.render.overlay(explanation(maps), images, **style)[0])
    volume = kam.render.explanation_figure(explanation(maps[:, None]), images[:, None], **style)
    np.testing.assert_array_equal(volume.axes[2].images[0].get_array(), shown)
    for wrong in ({"alpha": 2}, {"alpha": "maps"}, {"contours": 1}):
        with pytest.raises(ValueError, match=r"alpha must be|contours must be"):
            kam.render.explanation_figure(explanation(maps), images, **wrong)


def test_measurements_above_one_are_stretched_and_brightness_is_not():
    volume = np.linspace(0, 1.5, 8, dtype="float32").reshape(1, 2, 2, 2, 1)
    shown = explanation(np.ones((1, 2, 2, 2))).show(volume).axes[0].images[0].get_array()
    expected = np.rint(np.linspace(0, 255, 8)).reshape(2, 2, 2)
    np.testing.assert_allclose(shown[..., 0], np.hstack(expected), atol=1)
    assert kam.render.pixels(np.float32([[[[1.0000002], [0.5]]]]))[0, 0, :, 0].tolist() == [255, 128]
    assert kam.render.pixels(np.float32([[[[3], [1]]]]))[0, 0, :, 0].tolist() == [3, 1]


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
