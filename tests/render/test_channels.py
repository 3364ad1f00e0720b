"""Figures of channels: which are drawn, in which order and at which scale; dead ones marked; no title cut off."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from keras_actmaps import render

IMAGES = np.random.default_rng(0).random((2, 8, 8, 3), "float32")
RAMP = np.linspace(0, 1, 12, dtype="float32").reshape(3, 4)


def features():
    """Two images (3,4) of five channels: 2 x ramp, 0, -8 x ramp, all 7, and one that is 0 in the first image only."""
    first = np.stack([2 * RAMP, 0 * RAMP, -8 * RAMP, 0 * RAMP + 7, 0 * RAMP], -1)
    return np.stack([first, first * [0.5, 1, 0.5, 1, 0] + RAMP[..., None] * [0, 0, 0, 0, 2]]).astype("float32")


def drawn(panel):
    """What each image in a panel shows between its darkest and its brightest colour, in the order of drawing."""
    return [image.norm(np.asarray(image.get_array())).data for image in panel.images]


def words(figure):
    """All words of a figure, but for the ticks of panels, which are not drawn."""
    panels = [panel for panel in figure.axes if not panel.axison]
    ticks = {id(text) for panel in panels for axis in (panel.xaxis, panel.yaxis) for text in axis.findobj(Text)}
    return [text for text in figure.findobj(Text) if text.get_text() and id(text) not in ticks]


def numbers(panel):
    return [int(text.get_text()) for text in panel.texts if text.get_text().isdigit()]


def block(figure, image=0):
    """The panel of the first layer and an image, of two."""
    return figure.axes[2 + image]


@pytest.mark.parametrize("order, expected", [("activity", [2, 0, 4]), ("index", [0, 1, 2])])
def test_the_most_active_or_the_first_channels_are_drawn_the_same_for_all_images(order, expected):
    figure = render.feature_figure({"a": features()}, IMAGES, ["x", "y"], channels=3, order=order)
    assert numbers(block(figure)) == numbers(block(figure, 1)) == expected
    order = "most active first" if order == "activity" else "in order"
    assert block(figure).get_title(loc="left") == f"a: 3×4, 3 of 5 channels, {order}; 2 constant"


def test_constant_channels_come_last_however_large():
    assert render.ranked(features()).tolist() == [2, 0, 4, 3, 1]


def test_each_channel_at_its_own_scale_which_all_images_share():
    figure = render.feature_figure({"a": features()}, IMAGES, ["x", "y"])
    np.testing.assert_allclose(drawn(block(figure)), [1 - RAMP, RAMP], atol=1e-6)
    np.testing.assert_allclose(drawn(block(figure, 1)), [1 - RAMP / 2, RAMP / 2, RAMP], atol=1e-6)


def test_one_scale_for_a_layer_with_its_bar_in_raw_numbers():
    figure = render.feature_figure({"a": features()}, IMAGES, ["x", "y"], scale="layer")
    low, high = np.percentile(features(), (0.5, 99.5))
    expected = [(-8 * RAMP - low) / (high - low), (2 * RAMP - low) / (high - low)]
    np.testing.assert_allclose(drawn(block(figure)), expected, atol=1e-5)
    assert figure.axes[-1].get_ylim() == pytest.approx((low, high))


def test_a_few_bright_pixels_do_not_darken_a_whole_layer():
    maps = np.tile(np.linspace(0, 1, 400, dtype="float32").reshape(1, 20, 20, 1), 3)
    maps[0, 0, 0, 0] = 50
    figure = render.feature_figure({"a": maps}, IMAGES[:1], ["x"], scale="layer")
    low, high = figure.axes[-1].get_ylim()
    assert 0 <= low < 0.01 and 0.99 < high <= 1


def test_a_dead_channel_is_hatched_and_says_its_value():
    figure = render.feature_figure({"a": features()}, IMAGES, ["x", "y"])
    hatched = [[patch for patch in block(figure, n).patches if isinstance(patch, Rectangle) and patch.get_hatch()]
               for n in (0, 1)]  # fmt: skip
    assert [len(patches) for patches in hatched] == [3, 2]
    values = [text.get_text() for text in block(figure).texts if text.get_text().startswith("all")]
    assert values == ["all 0", "all 7", "all 0"]


def test_three_rows_of_pooling_share_one_scale_from_zero():
    before = np.maximum(features(), 0)[:1]
    pools = [before[:, :2, ::2] / 2, before[:, :2, ::2] / 4]
    blocks = [("one", [before, *pools]), ("two", [before / 10, *(part / 10 for part in pools)])]
    figure = render.pooling_figure(blocks, IMAGES[:1], ["x"], channels=2)
    shown = [panel.images[0] for panel in figure.axes if panel.get_title().startswith("channel")]
    assert len(shown) == 2 * 3 * 2
    assert {(image.norm.vmin, image.norm.vmax) for image in shown} == {(0.0, 7.0)}
    titles = [panel.get_title() for panel in figure.axes if panel.get_title().startswith("channel")]
    assert titles[:6] == [f"channel {n}\n{word}" for word in ("before, 3×4", "maximum, 2×2", "average, 2×2")
                          for n in (0, 3)]  # fmt: skip
    np.testing.assert_array_equal(shown[2].get_array(), pools[0][0, ..., 0])


@pytest.mark.parametrize("images", [1, 2])
def test_no_title_is_cut_off_or_runs_into_another(images):
    long = "drawn-grid: drawn garments and digits, a stand-in for real data, " * 3
    maps = np.maximum(features()[:images], 0)
    several = {"a_rather_long_path/of_a_nested_model/block12_expand_convolution": maps, "b": maps[:, :1, :1]}
    titles = ["true: american pit bull terrier\npredicted: staffordshire bull terrier"] * images
    figures = [
        render.feature_figure(several, IMAGES[:images], titles, long),
        render.feature_figure(several, IMAGES[:images], titles, long, scale="layer"),
        render.pooling_figure([("fresh convolution (3×3) + ReLU", [maps, maps, maps])], IMAGES[:images], titles, long),
        render.pooling_figure([("c", [maps, maps, maps])] * 3, IMAGES[:images], titles, long, channels=1),
    ]
    for figure in figures:
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        for text in words(figure):
            box, whole = text.get_window_extent(), figure.bbox
            assert whole.x0 <= box.x0 + 1 and box.x1 <= whole.x1 + 1, text.get_text()
            assert whole.y0 <= box.y0 + 1 and box.y1 <= whole.y1 + 1, text.get_text()


def test_an_order_or_a_scale_that_there_is_not():
    with pytest.raises(ValueError, match="no order 'best' of channels; there are: activity, index"):
        render.feature_figure({"a": features()}, IMAGES, ["x", "y"], order="best")
    with pytest.raises(ValueError, match="no scale 'all' of channels; there are: channel, layer"):
        render.feature_figure({"a": features()}, IMAGES, ["x", "y"], scale="all")
