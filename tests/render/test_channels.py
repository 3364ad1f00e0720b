"""Figures of channels: which are drawn, their order and scale, constant channels, and titles that are not cut off."""

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
    """What each image in a panel shows, 0 for the darkest and 1 for the brightest color, in the order of drawing."""
    return [image.norm(np.asarray(image.get_array())).data for image in panel.images]


def words(figure):
    """All text of a figure, except the ticks of panels, which are not drawn."""
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
    order = "most active first" if order == "activity" else "by index"
    assert block(figure).get_title(loc="left") == f"a: 3×4, 3 of 5 channels, {order}; 2 constant"


def test_constant_channels_are_last_however_large_they_are():
    assert render.rank_channels(features()).tolist() == [2, 0, 4, 3, 1]


def test_each_channel_has_its_own_scale_for_all_images():
    figure = render.feature_figure({"a": features()}, IMAGES, ["x", "y"])
    np.testing.assert_allclose(drawn(block(figure)), [1 - RAMP, RAMP], atol=1e-6)
    np.testing.assert_allclose(drawn(block(figure, 1)), [1 - RAMP / 2, RAMP / 2, RAMP], atol=1e-6)


def test_one_scale_per_layer_with_a_color_bar_in_raw_numbers():
    figure = render.feature_figure({"a": features()}, IMAGES, ["x", "y"], scale="layer")
    low, high = np.percentile(features(), (0.5, 99.5))
    expected = [(-8 * RAMP - low) / (high - low), (2 * RAMP - low) / (high - low)]
    np.testing.assert_allclose(drawn(block(figure)), expected, atol=1e-5)
    assert figure.axes[-1].get_ylim() == pytest.approx((low, high))


def test_a_few_bright_pixels_do_not_darken_the_layer():
    maps = np.tile(np.linspace(0, 1, 400, dtype="float32").reshape(1, 20, 20, 1), 3)
    maps[0, 0, 0, 0] = 50
    figure = render.feature_figure({"a": maps}, IMAGES[:1], ["x"], scale="layer")
    low, high = figure.axes[-1].get_ylim()
    assert 0 <= low < 0.01 and 0.99 < high <= 1


def test_a_constant_channel_is_hatched_and_labeled_with_its_value():
    figure = render.feature_figure({"a": features()}, IMAGES, ["x", "y"])
    patches = [patch for n in (0, 1) for patch in block(figure, n).patches if isinstance(patch, Rectangle)]
    assert [patch.get_hatch() for patch in patches] == ["////"] * (3 + 2)
    assert len(block(figure).patches) == 3
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
    rows = "before, 3×4", "maximum, 2×2", "average, 2×2"
    assert titles[:6] == [f"channel {n}\n{row}" for row in rows for n in (0, 3)]
    np.testing.assert_array_equal(shown[2].get_array(), pools[0][0, ..., 0])


@pytest.mark.parametrize("images", [1, 2])
def test_no_text_is_cut_off(images):
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


def test_an_unknown_order_or_scale_raises_one_line():
    with pytest.raises(ValueError, match="order must be 'activity' or 'index', got 'best'"):
        render.feature_figure({"a": features()}, IMAGES, ["x", "y"], order="best")
    with pytest.raises(ValueError, match="scale must be 'channel' or 'layer', got 'all'"):
        render.feature_figure({"a": features()}, IMAGES, ["x", "y"], scale="all")
