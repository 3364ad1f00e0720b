"""Films of volumes: the colors of each slice, on the scale of the whole volume."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageSequence

import keras_actmaps as kam

DEPTH = 5
MAPS = np.broadcast_to(np.arange(DEPTH, dtype="float32")[:, None, None], (1, DEPTH, 6, 8))
VOLUME = 1 - MAPS[..., None] / (DEPTH - 1)


def explanation(maps):
    return kam.Explanation(np.asarray(maps), None, np.zeros(len(maps), "float32"), "occlusion")


def write(path, **settings):
    return kam.render.explanation_film(explanation(MAPS), VOLUME, path, colormap="gray", speed=10, **settings)


def levels(frame):
    """The gray levels in the middle of the left and right panels."""
    height, width = frame.shape[:2]
    return [int(frame[height // 2, width * number // 4].mean()) for number in (1, 3)]


def test_each_frame_is_a_slice_beside_its_overlay(tmp_path):
    with Image.open(write(tmp_path / "volume.gif", alpha=1)) as file:
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(file)]
    rising = np.linspace(0, 255, DEPTH)
    np.testing.assert_allclose([levels(frame) for frame in frames[:DEPTH]], np.c_[rising[::-1], rising], atol=4)
    assert [path.name for path in tmp_path.iterdir()] == ["volume.gif"]


def test_an_mp4_has_the_same_frames_or_one_line_says_why_not(tmp_path):
    try:
        film = cv2.VideoCapture(str(write(tmp_path / "volume.mp4", alpha=0)))
    except OSError as error:
        assert "gif needs no encoder" in str(error) and not list(tmp_path.iterdir())
        pytest.skip(str(error))
    found = [levels(film.read()[1]) for _ in range(DEPTH)]
    np.testing.assert_allclose(found, np.linspace(255, 0, DEPTH)[:, None].repeat(2, 1), atol=12)


def test_what_does_not_fit_is_refused_before_any_file(tmp_path):
    for maps, inputs, path, message in [
        (MAPS[0], VOLUME[0], "a.gif", "a film needs maps of volumes or videos"),
        (MAPS, VOLUME[:, :3], "a.gif", "do not fit maps of shape"),
        (MAPS, VOLUME, "a.avi", "film must be 'gif' or 'mp4'"),
    ]:
        with pytest.raises(ValueError, match=message):
            kam.render.explanation_film(explanation(maps), inputs, tmp_path / path)
    assert not list(tmp_path.iterdir())
