"""What notebooks show of an explanation: escaped words, and a picture of the first maps."""

import re
from base64 import b64decode

import cv2
import numpy as np

import keras_actmaps as kam


def explanation(maps, **changes):
    words = {"targets": np.arange(len(maps)), "scores": np.full(len(maps), 0.25, "float32"), "method": "lrp"}
    return kam.Explanation(maps=np.asarray(maps, "float32"), **{**words, **changes})


def image_in(html):
    (code,) = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return cv2.imdecode(np.frombuffer(b64decode(code), "uint8"), cv2.IMREAD_COLOR)[..., ::-1]


def test_words_are_escaped_and_arrays_short():
    html = explanation(np.ones((9, 4, 4)), layer="<script>a&b", residual=np.zeros(9))._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;a&amp;b" in html
    for row in ("targets</th><td>[0, 1, 2, 3, ...]", "scores</th><td>[0.25, ", "residual</th><td>[0, 0, 0, 0, ...]"):
        assert row in html
    assert len(html) < 100_000


def test_the_first_four_maps_are_drawn():
    maps = np.zeros((6, 4, 4))
    maps[:4] = 1
    picture = image_in(explanation(maps)._repr_html_())
    top = kam.render.colorize(np.float32([1]))[0].astype(int)
    is_top = (abs(picture - top) <= 2).all(-1)
    line = is_top[np.argmax(is_top.sum(1))].astype(int)
    assert np.sum(np.diff(np.r_[0, line]) == 1) >= 4 and line.mean() > 0.4
    assert abs(picture.shape[1] - 4 * 2.4 * 72) <= 1


def test_maps_that_cannot_be_drawn_are_named():
    nan = np.full((1, 2, 2), np.nan)
    assert "the maps contain NaN or Inf" in explanation(nan)._repr_html_()
    assert "cannot be drawn" in explanation(np.ones((1, 2, 2, 2, 2)))._repr_html_()
    assert "no maps" in explanation(np.ones((0, 2, 2)))._repr_html_()
