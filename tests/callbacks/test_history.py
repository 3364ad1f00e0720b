"""The pictures on disk: that of a snapshot, the strip of a fit, and the strip of a fit that is resumed."""

import cv2
import numpy as np
import pytest
from helpers.fits import SIDE, compiled, fit, load, make_callback, network
from PIL import Image

import keras_actmaps as kam
from keras_actmaps.callbacks import history

CARD, FRAME = 168, 112  # the side of a panel in a picture and in a strip


def magnified(frame, times):
    """A frame as a picture shows it: each pixel is a block."""
    return np.repeat(np.repeat(frame, times, axis=0), times, axis=1)


def columns_of(picture, part):
    """The columns at which a part occurs in a picture, pixel by pixel."""
    found = cv2.matchTemplate(picture, part, cv2.TM_SQDIFF_NORMED)
    height, width = part.shape[:2]
    return sorted(
        {x for y, x in np.argwhere(found < 1e-3) if np.array_equal(picture[y : y + height, x : x + width], part)}
    )


def read(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def test_a_picture_shows_the_image_and_the_overlay(data, tmp_path):
    fit(compiled(network()), data, make_callback(data, tmp_path), epochs=1)
    picture, explanation, times = read(tmp_path / "epoch-001.png"), load(tmp_path, 1), CARD // SIDE
    images, overlays = kam.render.pixels(data[0][:5]), kam.render.overlay(explanation, data[0][:5])
    for image, overlay in zip(images, overlays):
        assert columns_of(picture, magnified(image, times))
        assert columns_of(picture, magnified(overlay, times))


def test_a_resumed_fit_continues_the_numbers_and_the_strip(data, tmp_path):
    model = compiled(network())
    fit(model, data, make_callback(data, tmp_path), epochs=2)
    fit(model, data, make_callback(data, tmp_path), epochs=4, initial_epoch=2)
    names = ["strip.png", "strip.gif", *(f"epoch-00{n}.{kind}" for n in (1, 2, 3, 4) for kind in ("png", "npz"))]
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    strip, times = read(tmp_path / "strip.png"), FRAME // SIDE
    overlays = [kam.render.overlay(load(tmp_path, number), data[0][:5])[3] for number in (1, 2, 3, 4)]
    columns = [columns_of(strip, magnified(overlay, times)) for overlay in overlays]
    assert all(len(found) == 1 for found in columns) and columns == sorted(columns)
    assert len(columns_of(strip, magnified(kam.render.pixels(data[0][:5])[3], times))) == 1
    with Image.open(tmp_path / "strip.gif") as film:
        assert film.n_frames == 4 and film.info["duration"] == 500


@pytest.mark.parametrize("change", [{"count": 4}, {"method": "hirescam"}, {"layer": "conv"}], ids=str)
def test_a_strip_leaves_out_snapshots_of_other_images_methods_and_layers(change, data, tmp_path):
    model = compiled(network())
    fit(model, data, make_callback(data, tmp_path), epochs=2)
    fit(model, data, make_callback(data, tmp_path, **change), epochs=3, initial_epoch=2)
    with Image.open(tmp_path / "strip.gif") as film:
        assert film.n_frames == 1


def test_the_strip_of_a_new_fit_leaves_out_older_snapshots(data, tmp_path):
    fit(compiled(network()), data, make_callback(data, tmp_path), epochs=3)
    fit(compiled(network()), data, make_callback(data, tmp_path), epochs=2)
    with Image.open(tmp_path / "strip.gif") as film:
        assert film.n_frames == 2


def test_snapshots_are_thinned_out_evenly_with_the_first_and_the_last():
    assert history.evenly(range(100), 4) == [0, 33, 66, 99] and history.evenly([7, 8], 4) == [7, 8]
    assert history.evenly([], 4) == [] and history.evenly([5, 6, 7], 1) == [5]
