"""The figure of methods side by side: its panels, the scores in bold, and the outlines of masks."""

import matplotlib.colors
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from keras_actmaps import Explanation, render
from keras_actmaps.comparison.table import Table

RANDOM = np.random.default_rng(0)


def figure(masks=None, methods=("a", "b long=1"), signed=False):
    maps = RANDOM.normal(size=(len(methods), 2, 10, 12)).astype("float32")
    maps = maps if signed else np.abs(maps)
    explanations = [Explanation(one, np.zeros(2, int), np.zeros(2), "gradcam") for one in maps]
    values = np.arange(len(methods) * 2 * 3, dtype="float64").reshape(len(methods), 2, 3)  # three images, two are drawn
    values[0, 1, 1] = np.nan
    table = Table(tuple(methods), ("drop", "gain"), ("lower", "higher"), values, np.ones(2), np.ones(2))
    titles = ["first", "second"]
    return render.comparison_figure(explanations, np.ones((2, 10, 12, 1)), table, titles, "caption", "turbo", masks)


def test_a_row_per_image_and_a_column_per_method_with_scores_below():
    panels = np.reshape(figure().axes, (2, 3))
    assert [[panel.get_title() for panel in row] for row in panels] == [
        ["first", "a", "b long=1"],
        ["second", "a", "b long=1"],
    ]
    said = [[text.get_text() for text in panel.texts] for panel in panels.ravel()]
    assert said == [[], ["drop 0", "gain 3"], ["drop 6", "gain 9"], [], ["drop 1", "gain –"], ["drop 7", "gain 10"]]
    bold = [text.get_text() for panel in panels.ravel() for text in panel.texts if text.get_fontweight() == "bold"]
    assert bold == ["drop 0", "gain 9", "drop 1", "gain 10"]


@pytest.mark.parametrize("signed", [True, False])
def test_colors_mean_the_same_in_every_panel(signed):
    for panel in np.reshape(figure(signed=signed).axes, (2, 3))[:, 1:].ravel():
        image = panel.images[0]
        assert (image.cmap.name, image.norm.vmin == 0) == (("RdBu_r", False) if signed else ("turbo", True))
        assert signed == (image.norm.vmin == -image.norm.vmax)


def test_the_outline_follows_the_edges_of_the_pixels_of_the_mask():
    masks = np.zeros((2, 10, 12), bool)
    masks[0, 2:7, 3:9] = True
    panels = np.reshape(figure(masks).axes, (2, 3))
    black, white = panels[0, 1].collections[::-1]
    for lines, color in ((black, "black"), (white, "white")):
        points = np.concatenate([path.vertices for path in lines.get_paths()])
        np.testing.assert_allclose([points.min(0), points.max(0)], [[2.5, 1.5], [8.5, 6.5]], atol=0.15)
        np.testing.assert_allclose(lines.get_edgecolor()[0, :3], matplotlib.colors.to_rgb(color))
    assert not panels[0, 0].collections and not any(
        len(path.vertices) for lines in panels[1, 1].collections for path in lines.get_paths()
    )
    assert panels[0, 1].get_xlim() == (-0.5, 11.5) and panels[0, 1].get_ylim() == (9.5, -0.5)


def test_no_score_is_cut_off_at_the_bottom():
    drawn = figure(methods=[f"method {number}" for number in range(9)])
    drawn.draw_without_rendering()
    lowest = min(text.get_window_extent().y0 for panel in drawn.axes for text in panel.texts)
    assert lowest >= 0


@pytest.mark.parametrize("shape", [(40, 24), (24, 40)])
def test_long_text_neither_overlaps_nor_takes_the_place_of_the_panels(shape):
    """One image and one method make a narrow figure, in which caption and title have several lines."""
    one = Explanation(RANDOM.random((1, *shape)), np.zeros(1, int), np.zeros(1), "gradcam")
    table = Table(("gradcam",), ("drop", "gain"), ("lower", "higher"), np.ones((1, 2, 1)), np.ones(2), np.ones(2))
    titles = ["a/path/to/the/photograph.jpg\ntrue: Staffordshire bull terrier, a dog\npredicted: cat"]
    drawn = render.comparison_figure([one], np.ones((1, *shape, 1)), table, titles, "caption of a run " * 9)
    canvas = FigureCanvasAgg(drawn)
    canvas.draw()
    texts = [drawn._suptitle, drawn.axes[0].title, *drawn.axes[1].texts]
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
    bottoms, tops = [box.y0 for box in boxes], [box.y1 for box in boxes]
    assert all(above >= below for above, below in zip(bottoms, tops[1:])) and bottoms[-1] > 0
    picture = drawn.axes[0].get_window_extent()
    assert max(picture.width, picture.height) > 2.2 * drawn.dpi and boxes[1].width < 2.8 * drawn.dpi
