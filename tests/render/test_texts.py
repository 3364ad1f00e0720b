"""Pictures of texts: escaped words, values on hover, one scale for each method, and pictures of the right colors."""

import re
from dataclasses import replace

import numpy as np
import pytest
from helpers.metrics import explanation_of
from matplotlib.colors import to_rgb

import keras_actmaps as kam

WORDS = [["good", "<br", "/>", "<script>alert(1)</script>"], ["bad\x1b[2J", "$x^2$"]]
MAPS = np.array([[0.5, 0, 0, -1.0], [-2.0, 0.25, 0, 0]])


def picture(**settings):
    return kam.render.text(explanation_of(MAPS, [0, 1]), WORDS, classes=("neg", "pos"), **settings)


def spans(html):
    found = re.findall(r'<span style="background:(#\w+)[^>]*title="([^"]+)">(.*?)</span>', html)
    return [(np.array(to_rgb(color)), float(value), word) for color, value, word in found]


def test_html_has_escaped_words_with_their_values():
    html = picture(titles=["<b>first</b>"], caption="a & b").html
    assert "<script>" not in html and "<b>first" not in html and "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "a &amp; b" in html and "score 0.00" in html and "gradcam · pos" in html
    assert [value for _, value, _ in spans(html)] == [0.5, 0, 0, -1, -2, 0.25]
    assert [html.count(f"</span> +{end}<") for end in (1, 2)] == [1, 1]  # the ends of the scale of each text


def test_colors_are_white_at_0_red_above_blue_below_and_linear():
    values = {value: color for color, value, _ in spans(picture().html)}
    np.testing.assert_array_equal(values[0], 1)
    assert values[0.5][0] > values[0.5][2] and values[-1][2] > values[-1][0]
    np.testing.assert_allclose(1 - values[-2], 1 - values[-1])
    np.testing.assert_allclose(1 - values[0.5], 4 * (1 - values[0.25]), atol=0.02)


def test_methods_and_classes_are_side_by_side_each_method_on_its_own_scale():
    one = explanation_of(np.stack([MAPS, -MAPS], axis=1), [[0, 1], [0, 1]])
    other = replace(explanation_of(10 * MAPS, [0, 1]), method="lrp")
    found = kam.render.text([one, other], WORDS)
    assert [len(panels) for _, panels in found.rows] == [3, 3]
    assert [panel.largest for panel in found.rows[0][1]] == [1, 1, 10]
    assert found.rows[0][1][1].values == (-0.5, 0, 0, 1) and "class 1" in found.rows[0][1][1].title


def test_a_terminal_gets_colors_and_no_control_characters_of_the_text():
    lines = picture().terminal
    assert "\x1b[2J" not in lines and "bad\ufffd[2J" in lines
    color = re.search(r"\x1b\[38;2;0;0;0;48;2;(\d+);(\d+);(\d+)mbad", lines)
    assert int(color[3]) > int(color[1])


def test_figures_show_the_colors_and_files_are_written(tmp_path):
    for name in ("picture.png", "picture.html"):
        assert picture(caption="caption").save(tmp_path / name).stat().st_size > 500
    from matplotlib.image import imread

    pixels = imread(tmp_path / "picture.png")[..., :3].reshape(-1, 3)
    strongest = spans(picture().html)[4][0]
    assert (np.abs(pixels - strongest).max(axis=1) < 0.01).sum() > 100
    with pytest.raises(ValueError, match=r"must end in \.html or \.png"):
        picture().save(tmp_path / "picture.gif")


def test_words_that_do_not_fit_are_an_error():
    e = explanation_of(MAPS)
    with pytest.raises(ValueError, match="text 1 has 1 words, which do not fit a map of 4 places"):
        kam.render.text(e, [WORDS[0], ["bad"]])
    with pytest.raises(ValueError, match=r"words of 1 texts do not fit maps of shape \(2, 4\)"):
        kam.render.text(e, WORDS[0])
    with pytest.raises(ValueError, match="no explanations"):
        kam.render.text([], WORDS)
