"""ExplainCallback on tables, series, volumes, videos and images of many bands: its pictures and maps."""

import keras
import matplotlib
import numpy as np
import pytest
from keras import layers
from PIL import Image

import keras_actmaps as kam

SHAPES = {"table": (5,), "series": (12, 2), "bands": (6, 8, 5), "volume": (7, 6, 5, 1)}


@pytest.mark.parametrize("kind", SHAPES)
def test_every_rank_has_pictures_and_the_maps_of_explain(tmp_path, kind):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(SHAPES[kind]), layers.Flatten(), layers.Dense(2)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    inputs = np.random.default_rng(0).random((3, *SHAPES[kind]), "float32")
    callback = kam.ExplainCallback(inputs, "gradient_x_input", targets=1, output=tmp_path, say=print)
    model.fit(inputs, np.arange(3) % 2, epochs=2, verbose=0, callbacks=[callback])
    assert not callback.failures
    found = kam.Explanation.load(tmp_path / "epoch-002.npz")
    expected = kam.explain(model, inputs, "gradient_x_input", targets=1).maps
    np.testing.assert_allclose(found.maps, expected, atol=1e-6)
    with Image.open(tmp_path / "strip.png") as picture:
        strip = colors(np.asarray(picture))
    drawn = colors(kam.render.map_thumbnails(found, inputs))
    assert len(drawn & strip) > 0.9 * len(drawn)
    with Image.open(tmp_path / "epoch-001.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 20


def test_the_band_of_a_series_has_the_color_of_each_step():
    maps = np.array([[0, 2, -2, 1]], "float32")
    e = kam.Explanation(maps=maps, targets=None, scores=np.zeros(1), method="lrp")
    (band,) = kam.render.map_thumbnails(e, np.ones((1, 4, 3)))
    expected = np.rint(255 * matplotlib.colormaps["RdBu_r"]([0.5, 1.0, 0.0, 0.75])[:, :3])
    np.testing.assert_allclose(band[0], expected, atol=2)
    gray = kam.render.input_thumbnails(np.array([[[0, 2], [3, 3], [1, 1], [5, 5]]]))
    np.testing.assert_array_equal(gray[0, 0, :, 0], np.rint(255 * np.array([0, 0.5, 0, 1])))


STYLE = {"alpha": "map", "contours": 0.5, "bands": (4, 2, 0)}


def test_pictures_are_drawn_in_the_style_that_was_passed(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(SHAPES["bands"]), layers.Flatten(), layers.Dense(2)])
    model.compile("sgd", "mse")
    inputs = np.random.default_rng(0).random((2, *SHAPES["bands"]), "float32")
    callback = kam.ExplainCallback(inputs, "gradient_x_input", targets=1, output=tmp_path, say=print, **STYLE)
    model.fit(inputs, np.ones((2, 2)), verbose=0, callbacks=[callback])
    e = kam.Explanation.load(tmp_path / "epoch-001.npz")
    styled, default = colors(kam.render.overlay(e, inputs, **STYLE)), colors(kam.render.overlay(e, inputs))
    for name in ("epoch-001.png", "strip.png"):
        with Image.open(tmp_path / name) as picture:
            drawn = colors(np.asarray(picture.convert("RGB")))
        assert len(drawn & styled) > 0.9 * len(styled) and len(drawn & default) < 0.5 * len(default)


def colors(pixels):
    return {tuple(color) for color in pixels.reshape(-1, 3).tolist()}


@pytest.mark.parametrize(
    ("style", "message"),
    [
        ({"alpha": 2}, "alpha must be"),
        ({"contours": 1}, "contours must be"),
        ({"bands": (0, 9, 1)}, r"bands must be 'mean' or three of the channels 0\.\.4, got \(0, 9, 1\)"),
    ],
)
def test_a_style_that_does_not_fit_is_an_error_before_the_fit(style, message):
    with pytest.raises(ValueError, match=message):
        kam.ExplainCallback(np.zeros((2, *SHAPES["bands"])), **style)
