"""Pictures: their colors, that zero looks the same in every panel, and that files are complete."""

from dataclasses import replace

import cv2
import matplotlib
import numpy as np
import pytest

from keras_actmaps import Explanation, render
from keras_actmaps.render.panels import wrap_text


def explanation(maps):
    maps = np.asarray(maps, "float32")
    return Explanation(maps, np.zeros(maps.shape[:-2], int), np.zeros(maps.shape[:-2]), "gradcam", "features")


def test_overlay_blends_image_and_map_in_rgb():
    maps = np.zeros((1, 2, 2))
    maps[0, 0, 0] = 5
    image = np.full((1, 2, 2, 3), 100, "uint8")
    red = np.array(matplotlib.colormaps["jet"](1.0)[:3]) * 255
    blue = np.array(matplotlib.colormaps["jet"](0.0)[:3]) * 255
    over = render.overlay(explanation(maps), image, alpha=0.25, colormap="jet")
    assert over.dtype == np.uint8
    np.testing.assert_allclose(over[0, 0, 0], 75 + 0.25 * red, atol=1)
    np.testing.assert_allclose(over[0, 1, 1], 75 + 0.25 * blue, atol=1)
    assert over[0, 0, 0, 0] > over[0, 0, 0, 2]
    np.testing.assert_array_equal(render.overlay(explanation(maps), image, alpha=0), image)


@pytest.mark.parametrize("value", [0, 3, -2])
def test_constant_maps_are_drawn(value):
    values = render.normalize(np.full((2, 3, 3), value))
    assert (values == (value > 0)).all()
    assert render.heatmap(explanation(np.full((2, 3, 3), value))).shape == (2, 3, 3, 3)


def test_each_image_has_its_own_scale_and_negative_values_are_zero():
    maps = np.array([[[1, 2], [-4, 0]], [[10, 20], [-40, 0]]])
    np.testing.assert_allclose(render.normalize(maps)[0], [[0.5, 1], [0, 0]])
    np.testing.assert_array_equal(*render.normalize(maps))


def test_pixels_of_every_usual_range():
    ramp = np.linspace(0, 1, 12).reshape(1, 3, 4, 1)
    expected = np.repeat(np.rint(ramp * 255).astype("uint8"), 3, axis=-1)
    for images in (ramp, ramp * 255, np.rint(ramp * 255).astype("uint8"), ramp * 4 - 2):
        np.testing.assert_array_equal(render.pixels(images), expected)
    with pytest.raises(ValueError, match="cannot be drawn"):
        render.pixels(np.ones((2, 3, 4)))


def test_many_targets_are_drawn_over_the_same_image():
    maps = np.random.default_rng(0).random((2, 3, 4, 5))
    images = np.random.default_rng(1).random((2, 4, 5, 1))
    together = render.overlay(explanation(maps), images)
    for target in range(3):
        np.testing.assert_array_equal(together[:, target], render.overlay(explanation(maps[:, target]), images))


def test_bad_arguments_raise_one_line():
    e, images = explanation(np.ones((1, 4, 4))), np.ones((1, 4, 4, 3))
    with pytest.raises(
        ValueError, match=r"colormap must be one of turbo, .* or another of Matplotlib, got 'rainbowish'"
    ):
        render.overlay(e, images, colormap="rainbowish")
    for alpha in (2, -0.1, float("nan"), "x", None):
        with pytest.raises(ValueError, match=f"alpha must be 'map' or a finite number >= 0 and <= 1, got {alpha!r}"):
            render.overlay(e, images, alpha=alpha)
    with pytest.raises(ValueError, match="do not fit maps of shape"):
        render.overlay(e, np.ones((1, 8, 8, 3)))


def test_files_are_read_as_rgb_or_gray(tmp_path):
    pixels = np.zeros((3, 4, 3), "uint8")
    pixels[..., 0] = 250
    cv2.imwrite(str(tmp_path / "red.png"), pixels[..., ::-1])
    cv2.imwrite(str(tmp_path / "gray.png"), pixels[..., 0])
    cv2.imwrite(str(tmp_path / "deep.png"), pixels[..., 0].astype("uint16") * 257)
    np.testing.assert_array_equal(render.read(tmp_path / "red.png"), pixels)
    np.testing.assert_array_equal(render.read(tmp_path / "gray.png"), pixels[..., :1])
    np.testing.assert_array_equal(render.read(tmp_path / "deep.png"), pixels[..., :1])
    cv2.imwrite(str(tmp_path / "float.tiff"), pixels[..., 0] / np.float32(255))
    np.testing.assert_array_equal(render.read(tmp_path / "float.tiff"), pixels[..., :1])
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(ValueError, match=r"text\.png' cannot be read as an image"):
        render.read(tmp_path / "text.png")
    with pytest.raises(FileNotFoundError, match="no image file"):
        render.read(tmp_path / "absent.png")


def test_fitting_changes_size_and_channels():
    gray = np.full((4, 6, 1), 90, "uint8")
    assert (render.fit(gray, (8, 5, 3)) == 90).all() and render.fit(gray, (8, 5, 3)).shape == (8, 5, 3)
    assert render.fit(np.full((4, 6, 3), 90, "uint8"), (4, 6, 1)).shape == (4, 6, 1)
    with pytest.raises(ValueError, match="an image of 1 channels cannot be converted to 4"):
        render.fit(gray, (4, 6, 4))


@pytest.mark.parametrize("count, targets", [(1, 10), (3, 4)])
def test_one_panel_per_class_on_one_scale(count, targets):
    maps = np.random.default_rng(0).normal(size=(count, targets, 6, 6)).astype("float32")
    names = [[f"class {k}" for k in range(targets)]] * count
    figure = render.class_panels(explanation(maps), np.ones((count, 6, 6, 1)), ["image"] * count, names)
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert titles.count("image") == count and titles.count("class 1") == count
    for row in range(count):
        drawn = [a.images[0] for a in figure.axes if a.get_title().startswith("class")][row * targets :][:targets]
        assert {image.norm.vmax for image in drawn} == {float(maps[row].max())}


def test_a_failed_save_leaves_no_file(tmp_path):
    figure = render.originals(np.ones((1, 4, 4, 1)), ["title"])
    render.save(figure, tmp_path / "good.png")
    assert cv2.imread(str(tmp_path / "good.png")) is not None

    def failing(file, **_):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    figure.savefig = failing
    with pytest.raises(OSError, match="No space left"):
        render.save(figure, tmp_path / "good.png")
    assert [path.name for path in tmp_path.iterdir()] == ["good.png"]
    assert cv2.imread(str(tmp_path / "good.png")) is not None


def test_names_of_earlier_versions():
    assert (render.colour, render.normalise) == (render.colorize, render.normalize)
    assert (render.framed, render.ranked) == (render.draw_boxes, render.rank_channels)


def test_explanations_of_a_function_of_the_outputs_are_drawn_like_those_of_classes():
    maps, images = np.random.default_rng(0).normal(size=(2, 4, 6)).astype("float32"), np.zeros((2, 4, 6, 1))
    of_class = explanation(maps)
    of_function = replace(of_class, targets=None)
    np.testing.assert_array_equal(render.overlay(of_function, images), render.overlay(of_class, images))
    titles = [("a", "b")] * 2
    np.testing.assert_array_equal(render.cards(of_function, images, titles), render.cards(of_class, images, titles))
    figures = [
        [
            render.picture(e, images, ["a", "b"], boxes=[[(0, 0, 2, 2)], []]),
            render.contact_sheet([e], images, ["a", "b"]),
        ]
        for e in (of_function, of_class)
    ]
    for one, other in zip(*figures):
        assert [panel.get_title() for panel in one.axes] == [panel.get_title() for panel in other.axes]
        for panel, same in zip(one.axes, other.axes):
            for drawn, expected in zip(panel.images, same.images):
                np.testing.assert_array_equal(drawn.get_array(), expected.get_array())
    panels = replace(explanation(maps[:, None]), targets=None)
    assert len(render.class_panels(panels, images, ["a", "b"], [["f"], ["f"]]).axes) == 2 * (2 + 1)


def test_an_overlay_without_a_box_says_so():
    figure = render.picture(
        explanation(np.ones((2, 4, 4))), np.zeros((2, 4, 4, 1)), ["a", "b"], boxes=[[(0, 0, 2, 2)], []]
    )
    titles = [panel.get_title() for panel in figure.axes]
    assert titles.count("overlay") == 1 and titles.count("overlay, no box found") == 1


def test_opacity_that_follows_the_map_leaves_the_image_where_the_map_is_zero():
    maps = np.array([[[0, 2, 4, -9]]])
    image = np.full((1, 1, 4, 3), 100, "uint8")
    over = render.overlay(explanation(maps), image, alpha="map", colormap="jet")[0, 0].astype(float)
    colors = np.array(matplotlib.colormaps["jet"](np.array([0, 0.5, 1, 0])))[:, :3] * 255
    weights = np.array([0, 0.5, 1, 0])[:, None]
    np.testing.assert_allclose(over, (1 - weights) * 100 + weights * colors, atol=1)


def test_contours_surround_the_pixels_above_a_fraction_of_the_maximum():
    maps = np.zeros((1, 7, 7))
    maps[0, 1:6, 1:6], maps[0, 3, 3] = 5, 8
    over = render.overlay(explanation(maps), np.zeros((1, 7, 7, 3), "uint8"), 0, contours=0.5)[0]
    ring = np.zeros((7, 7), bool)
    ring[1:6, 1:6], ring[2:5, 2:5] = True, False
    np.testing.assert_array_equal(over == 255, ring[..., None].repeat(3, -1))


def test_a_map_over_a_larger_photograph_does_not_overshoot():
    maps = np.zeros((1, 2, 2))
    maps[0, :, 1] = 3
    image = np.zeros((1, 8, 8, 3), "uint8")
    over = render.overlay(explanation(maps), image, alpha=1, colormap="gray", resize=True)
    expected = np.clip((np.arange(8) + 0.5) / 4 - 0.5, 0, 1)  # linear between the centers of pixels
    np.testing.assert_allclose(over[0, :, :, 0], np.tile(expected * 255, (8, 1)), atol=1)
    with pytest.raises(ValueError, match="do not fit"):
        render.overlay(explanation(maps), image[:, :1], resize=True)


def test_bands_of_images_with_more_than_three():
    images = np.arange(2 * 8 * 9 * 6, dtype="float32").reshape(2, 8, 9, 6) / (2 * 8 * 9 * 6)
    mean = np.rint(images.mean(-1) * 255)
    for one in (images, np.moveaxis(images, -1, 1)):
        np.testing.assert_array_equal(render.pixels(one), mean[..., None].repeat(3, -1))
        np.testing.assert_array_equal(render.pixels(one, (5, 0, 2)), np.rint(images[..., [5, 0, 2]] * 255))
        title = render.picture(explanation(np.ones((2, 8, 9))), one, ["a", "b"]).axes[0].get_title()
        assert title == "a, mean of 6 bands"
    for bands in ((1, 2), (0, 1, 6), "max", 3):
        with pytest.raises(ValueError, match=r"bands must be 'mean' or three of the channels 0..5, got"):
            render.pixels(images, bands)


def test_gray_with_opacity_is_drawn_on_white():
    image = np.array([[[[100, 255], [100, 0], [100, 51], [0, 255]]] * 4], "uint8")
    assert render.pixels(image)[0, 0, :, 1].tolist() == [100, 255, 224, 0]


def test_lines_of_a_caption_are_broken_between_words_only():
    text = "drawn garments, a stand-in for real data"
    for inches in np.linspace(1, 4, 15):
        lines = wrap_text(text, inches).splitlines()
        assert " ".join(lines) == text and not any(line.endswith("stand-") for line in lines)
    assert len(wrap_text(text, 1).splitlines()) > 1
