"""Pictures of explain.py for every rank of inputs, by their pixels: curves, films, bands, cut-outs, photographs."""

import cv2
import keras
import matplotlib
import numpy as np
import pytest
from keras import layers
from PIL import Image

import keras_actmaps as kam

SHAPES = {"table": (5,), "series": (12, 2), "image": (12, 16, 3), "bands": (12, 16, 5), "volume": (6, 8, 7, 1)}


def linear(shape):
    """A model whose gradient x input is the input times a kernel."""
    return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(2)])


@pytest.fixture
def explain_arrays(explain_command, tmp_path):
    """`explain_arrays("series", "--film")` explains two random inputs; the result, the maps and the inputs."""

    def run(kind, *options):
        keras.utils.set_random_seed(0)
        linear(SHAPES[kind]).save(tmp_path / "model.keras")
        values = np.random.default_rng(0).random((2, *SHAPES[kind]), "float32")
        np.save(tmp_path / "values.npy", values)
        arguments = ["--model", tmp_path / "model.keras", "--inputs", tmp_path / "values.npy", "--output", tmp_path]
        return explain_command(*arguments, "--method", "gradient_x_input", *options), values

    return run


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def colors(path):
    return {tuple(color) for color in np.unique(pixels(path).reshape(-1, 3), axis=0).tolist()}


def test_a_curve_has_the_colors_of_the_scale_and_its_panel_the_name_of_the_channel(explain_command, tmp_path):
    keras.utils.set_random_seed(0)
    linear((12, 2)).save(tmp_path / "model.keras")
    values = np.random.default_rng(0).random((12, 2))
    np.savetxt(tmp_path / "values.csv", values, delimiter=",", header="left,right", comments="")
    arguments = ["--model", tmp_path / "model.keras", "--inputs", tmp_path / "values.csv", "--output", tmp_path]
    result = explain_command(*arguments, "--method", "gradient_x_input")
    assert result.status == 0, result.stderr
    e = kam.Explanation.load(tmp_path / "gradient_x_input.npz")
    end = 1.0 if e.maps.flat[np.abs(e.maps).argmax()] > 0 else 0.0
    color = np.rint(255 * np.array(matplotlib.colormaps["RdBu_r"](end)[:3])).astype(int)
    assert tuple(color.tolist()) in colors(tmp_path / "gradient_x_input.png")
    figure = kam.render.explanation_figure(e, values[None], names=["left", "right"])
    assert [panel.get_ylabel() for panel in figure.axes[:2]] == ["left", "right"]
    (tmp_path / "values.csv").write_text("left\n1,2\n3,4\n")
    result = explain_command(*arguments, "--method", "saliency")
    assert result.status == 2 and "the first line has 1 names for 2 columns" in result.stderr


def test_a_film_has_a_frame_per_slice_with_the_colors_of_the_overlay(explain_arrays, tmp_path):
    result, _ = explain_arrays("volume", "--film", "--alpha", "1")
    assert result.status == 0, result.stderr
    e = kam.Explanation.load(tmp_path / "gradient_x_input.npz")
    share = np.maximum(e.maps[0], 0) / e.maps[0].max()
    with Image.open(tmp_path / "gradient_x_input.gif") as film:
        shown = []
        for frame in range(6):
            film.seek(frame)
            picture = np.asarray(film.convert("RGB")).astype(int)[:, : film.width // 2]  # the first example
            shown.append(np.abs(picture - 255 * np.array(matplotlib.colormaps["turbo"](1.0)[:3])).max(-1).min())
    # only the slice with the maximum of the volume has the last color of the scale
    assert np.sort(shown)[1] > np.min(shown) + 1
    assert np.argmin(shown) == share.reshape(6, -1).max(1).argmax()


@pytest.mark.parametrize(("options", "expected"), [([], "mean of 5 bands"), (["--bands", "4,0,2"], "bands 4, 0, 2 of")])
def test_images_of_more_bands_show_the_chosen_ones(explain_arrays, tmp_path, options, expected, monkeypatch):
    figures = []
    monkeypatch.setattr(kam.render, "save", lambda figure, path: figures.append(figure) or path)
    result, values = explain_arrays("bands", *options, "--cutout", "0.4")
    assert result.status == 0, result.stderr
    panel = figures[0].axes[0]
    assert expected in panel.get_title()
    drawn = panel.images[0].get_array()
    chosen = values[0][..., [4, 0, 2]] if options else values[0].mean(-1, keepdims=True).repeat(3, -1)
    np.testing.assert_allclose(drawn, 255 * chosen, atol=0.6)
    e = kam.Explanation.load(tmp_path / "gradient_x_input.npz")
    inside = (e.maps[0] > 0.4 * e.maps[0].max())[..., None]
    cut = figures[1].axes[0].images[0].get_array()
    np.testing.assert_allclose(cut, np.where(inside, 255 * chosen, 255 * chosen / 4), atol=0.7)
    assert expected in figures[1].get_suptitle().replace("\n", " ")


def test_a_cut_out_is_the_image_inside_and_dimmed_outside():
    random = np.random.default_rng(0)
    images, masks = random.integers(0, 256, (2, 6, 5, 3), "uint8"), random.random((2, 6, 5)) > 0.5
    cut = kam.render.cutout(images, masks)
    np.testing.assert_array_equal(cut[masks], images[masks])
    np.testing.assert_array_equal(cut[~masks], np.rint(images[~masks] / 4))
    large = np.kron(images, np.ones((1, 4, 4, 1), "uint8"))
    edge = np.zeros((2, 6, 5), bool)
    edge[:, :, :2] = True
    cut = kam.render.cutout(large, edge)
    np.testing.assert_array_equal(cut[:, :, :8], large[:, :, :8])
    np.testing.assert_array_equal(cut[:, :, 8:], np.rint(large[:, :, 8:] / 4))
    for wrong in (masks[:1], masks.astype("float32"), np.ones((2, 7, 5), bool), masks[..., None]):
        with pytest.raises(ValueError, match="masks"):
            kam.render.cutout(images, wrong)


def test_photographs_keep_their_size(explain_command, tmp_path):
    keras.utils.set_random_seed(1)
    linear(SHAPES["image"]).save(tmp_path / "model.keras")
    photograph = np.random.default_rng(0).integers(0, 256, (60, 80, 3), "uint8")
    Image.fromarray(photograph).save(tmp_path / "a.png")
    Image.fromarray(photograph[:5, :40]).save(tmp_path / "b.png")
    arguments = ["--model", tmp_path / "model.keras", "--image", tmp_path / "a.png", tmp_path / "b.png"]
    options = ["--full-size", "--alpha", "map", "--cutout", "0.5", "--boxes", "0.5", "--output", tmp_path]
    result = explain_command(*arguments, "--method", "gradient_x_input", *options)
    assert result.status == 0, result.stderr
    e = kam.Explanation.load(tmp_path / "gradient_x_input.npz")
    share = np.maximum(e.maps[0], 0) / e.maps[0].max()
    large = cv2.resize(share, (80, 60), interpolation=cv2.INTER_LINEAR)
    over = (1 - large[..., None]) * photograph + large[..., None] * 255 * matplotlib.colormaps["turbo"](large)[..., :3]
    found = pixels(tmp_path / "gradient_x_input-0-a.png").astype(float)
    is_box = (found == (255, 0, 255)).all(-1)
    np.testing.assert_allclose(found[~is_box], over[~is_box], atol=1.5)
    ((top, left, bottom, right, _),) = kam.boxes(e, 0.5)[0]
    rows, columns = np.flatnonzero(is_box.any(1)), np.flatnonzero(is_box.any(0))
    assert (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) == (top * 5, bottom * 5, left * 5, right * 5)
    cut = pixels(tmp_path / "gradient_x_input-0-a-cutout.png")
    inside = cv2.resize((share > 0.5).astype("float32"), (80, 60), interpolation=cv2.INTER_LINEAR) > 0.5
    np.testing.assert_array_equal(cut, np.where(inside[..., None], photograph, np.rint(photograph / 4)))
    assert pixels(tmp_path / "gradient_x_input-1-b.png").shape == (12, 40, 3)
    assert "smaller than the map, so its overlay has 40x12 pixels" in result.stdout
    assert len(colors(tmp_path / "gradient_x_input_cutout.png")) > 20


def test_wide_contours_are_drawn_in_large_images():
    maps = np.zeros((1, 8, 8), "float32")
    maps[0, 2:6, 2:6] = 1
    e = kam.Explanation(maps=maps, targets=None, scores=np.zeros(1), method="lrp")
    drawn = kam.render.overlay(e, np.zeros((1, 1280, 1280, 3), "uint8"), 0, contours=0.5, resize=True)[0, ..., 0]
    inside = cv2.resize(maps[0], (1280, 1280), interpolation=cv2.INTER_LINEAR) > 0.5
    kept = cv2.erode(inside.astype("uint8"), np.uint8([[0, 1, 0], [1, 1, 1], [0, 1, 0]]), iterations=4) > 0
    np.testing.assert_array_equal(drawn == 255, inside & ~kept)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("series", ["--film"], "--film needs volumes or videos"),
        ("volume", ["--cutout"], "--cutout needs images"),
        ("volume", ["--bands", "0,1,2"], "--bands needs images with more than three channels"),
        ("bands", ["--bands", "0,1,5"], "three of the channels 0..4, got (0, 1, 5)"),
        ("bands", ["--bands", "red"], "three of the channels 0..4, got 'red'"),
        ("bands", ["--full-size"], "--full-size needs --image FILE"),
        ("bands", ["--boxes"], "--boxes needs images"),
        ("bands", ["--alpha", "maps"], "--alpha"),
        ("bands", ["--contours", "1"], "--contours"),
        ("bands", ["--cutout", "2"], "--cutout"),
        ("volume", ["--film", "avi"], "--film"),
    ],
)
def test_options_that_do_not_fit_get_one_line_before_any_work(explain_arrays, tmp_path, kind, options, message):
    result, _ = explain_arrays(kind, *options)
    assert result.status == 2 and message in result.stderr and result.stderr.count("\n") == 1
    assert not list(tmp_path.glob("gradient_x_input*"))


def test_other_modes_refuse_options_of_pictures(explain_command, tmp_path):
    for options in (["--contours"], ["--cutout"], ["--film"], ["--bands", "1,2,3"], ["--full-size"]):
        for mode in (["--compare"], ["--engine", "tf-explain"]):
            result = explain_command(*mode, *options, "--output", tmp_path)
            assert result.status == 2 and "draws its own pictures" in result.stderr
    result = explain_command("--film", "--output", tmp_path)
    assert result.status == 2 and "--film needs --inputs FILE" in result.stderr
