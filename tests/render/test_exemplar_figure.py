"""The figure of exemplars: frames, receptive fields, projections, hatches, and titles that are not cut off."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from keras_actmaps import render
from keras_actmaps.render.exemplars import BLANK, CELL, FRAME, GAP, STRIPE, projection_pixels

BOX = (slice(2, 7), slice(4, 10))
SILENT = np.array([[False] * 4, [False, False, True, True], [True] * 4])
TITLES = ["channel 3: 2.50 to 1.25\n4 frog", "channel 5: 1.00 to 0.50\n2 cat", "channel 8: dead\nno image activates it"]


def pictures():
    return np.random.default_rng(0).integers(0, 256, (3, 4, 10, 20, 3), "uint8")


def figure(boxes=BOX, projections=None, caption=""):
    return render.exemplar_figure(
        pictures(), [[boxes] * 4 for _ in range(3)], SILENT, TITLES, projections, caption, "5×6 pixels"
    )


def cells(panel):
    """The four cells of a mosaic: images of CELL pixels and half as high."""
    mosaic = np.asarray(panel.images[0].get_array())
    assert mosaic.shape == (CELL + GAP, 2 * CELL + GAP, 3)
    rows, columns = (slice(0, CELL // 2), slice(CELL // 2 + GAP, None)), (slice(0, CELL), slice(CELL + GAP, None))
    return [mosaic[row, column] for row in rows for column in columns]


def visible(figure):
    return [panel for panel in figure.axes if panel.get_visible()]


def test_the_receptive_field_is_framed_in_each_image():
    cell, image = cells(figure().axes[0])[1], pictures()[0, 1]
    top, bottom, left, right = 2 * 6, 7 * 6 - 1, 4 * 6, 10 * 6 - 1
    for row, column in [(top, left), (bottom, right), (top, right), ((top + bottom) // 2, left)]:
        assert tuple(cell[row, column]) == FRAME
    large = image.repeat(6, axis=0).repeat(6, axis=1)
    np.testing.assert_array_equal(cell[: top - 3], large[: top - 3])
    inside = slice(top + 3, bottom - 2), slice(left + 3, right - 2)
    np.testing.assert_array_equal(cell[inside], large[inside])


def test_the_receptive_field_is_enlarged_to_the_cell():
    cell, crop = cells(figure().axes[1])[3], pictures()[0, 3][BOX]
    np.testing.assert_array_equal(cell[:, 24:96], crop.repeat(12, axis=0).repeat(12, axis=1))
    assert (cell[:, :24] == 255).all() and (cell[:, 96:] == 255).all()


def test_projections_are_cropped_too_and_zero_is_gray():
    projections = np.zeros((3, 4, 10, 20, 3), "float32")
    projections[..., 2, 4, 0], projections[..., 6, 9, :], projections[..., 0, 0, :] = 1, -1, 9
    cell = cells(figure(projections=projections).axes[2])[0]
    assert tuple(cell[0, 24]) == (255, 128, 128) and tuple(cell[30, 60]) == (128,) * 3
    assert tuple(cell[59, 95]) == (0,) * 3


def test_projections_of_one_channel_and_of_zeros():
    values = np.array([[[0.0], [2.0]], [[-2.0], [-1.0]]], "float32")
    np.testing.assert_array_equal(projection_pixels(values)[..., 1], [[128, 255], [0, 64]])
    assert (projection_pixels(np.zeros((2, 2, 3))) == 128).all()


def test_only_silent_cells_are_hatched():
    panels = visible(figure())
    for number, row in enumerate(SILENT):
        for part in (0, 1):
            for cell, is_silent in zip(cells(panels[2 * number + part]), row):
                assert (set(np.unique(cell)) == {BLANK, STRIPE}) == is_silent


def test_panels_and_their_titles():
    heads = ["receptive field, up to 5×6 pixels\n", "projection\n"]
    for projections, count in (None, 2), (np.ones((3, 4, 10, 20, 3)), 3):
        panels = visible(figure(projections=projections))
        assert len(panels) == 3 * count
        for number, title in enumerate(TITLES):
            titles = [panel.get_title() for panel in panels[number * count : (number + 1) * count]]
            assert titles == [title, *heads[: count - 1]]


def test_no_crops_where_the_receptive_field_is_the_whole_image():
    panels = visible(figure((slice(0, 10), slice(0, 20)), np.ones((3, 4, 10, 20, 3))))
    assert [panel.get_title() for panel in panels[:2]] == [TITLES[0], "projection\n"]
    np.testing.assert_array_equal(cells(panels[0])[0], pictures()[0, 0].repeat(6, axis=0).repeat(6, axis=1))


@pytest.mark.parametrize("count, rows, columns", [(1, 1, 1), (2, 1, 2), (5, 2, 3), (9, 3, 3)])
def test_mosaics_are_nearly_square_and_unused_cells_are_white(count, rows, columns):
    images = np.zeros((1, count, 8, 8, 1), "uint8")
    drawn = render.exemplar_figure(images, [[(slice(0, 8), slice(0, 8))] * count], np.zeros((1, count), bool), ["one"])
    mosaic = np.asarray(drawn.axes[0].images[0].get_array())
    assert mosaic.shape[:2] == (rows * (CELL + GAP) - GAP, columns * (CELL + GAP) - GAP)
    assert (mosaic == 0).all(axis=-1).sum() == count * CELL**2


def test_no_title_is_cut_off():
    titles = ["channel 203: 314.28 to 206.23\n4\u00a0american_pit_bull_terrier, 3\u00a0staffordshire_bull_terrier"] * 3
    images = pictures()[:, :, :, :10]
    for count in (1, 3):
        boxes, caption = [[(slice(0, 5), slice(0, 5))] * 4] * count, "words to fill a line " * 12
        drawn = render.exemplar_figure(images[:count], boxes, SILENT[:count], titles[:count], images[:count], caption)
        canvas = FigureCanvasAgg(drawn)
        canvas.draw()
        spans = [panel.title.get_window_extent(canvas.get_renderer()) for panel in visible(drawn)]
        spans.append(drawn.texts[0].get_window_extent(canvas.get_renderer()))
        for span in spans:
            assert span.x0 >= 0 and span.y0 >= 0 and span.x1 <= drawn.bbox.x1 and span.y1 <= drawn.bbox.y1
        for left, right in itertools.pairwise(spans[:-1]):
            assert left.x1 <= right.x0 or right.x1 <= left.x0 or left.y1 <= right.y0 or right.y1 <= left.y0
