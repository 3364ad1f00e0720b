"""Boxes in pictures: which pixels are colored, and that the images below are unchanged."""

import numpy as np
import pytest

from keras_actmaps import render

MAGENTA, WHITE = [255, 0, 255], [255, 255, 255]


def colored(image, color):
    return {tuple(place) for place in np.argwhere((image == color).all(-1)).tolist()}


def outline(y0, x0, y1, x1):
    rows, columns = range(y0, y1), range(x0, x1)
    return {(y, x) for y in rows for x in columns if y in (y0, y1 - 1) or x in (x0, x1 - 1)}


def test_a_box_is_the_outline_of_its_pixels():
    images = np.full((2, 20, 24, 3), 7, "uint8")
    drawn = render.draw_boxes(images, [[(2, 3, 9, 15, 0.8)], []])
    assert colored(drawn[0], MAGENTA) == outline(2, 3, 9, 15)
    assert ((drawn[0] == 7).all(-1).sum(), (drawn[1] == 7).all()) == (20 * 24 - len(outline(2, 3, 9, 15)), True)
    assert (images == 7).all()


def test_true_boxes_are_white_and_visible_where_both_meet():
    images = np.zeros((1, 20, 24, 1))
    drawn = render.draw_boxes(images, [[(2, 3, 9, 15, 1.0)]], [(4, 1, 18, 20)])[0]
    both = outline(2, 3, 9, 15) | outline(4, 1, 18, 20)
    assert colored(drawn, MAGENTA) | colored(drawn, WHITE) == both
    assert colored(drawn, WHITE) >= outline(4, 1, 18, 20) - outline(2, 3, 9, 15)
    same = render.draw_boxes(images, [[(2, 3, 9, 15)]], [[(2, 3, 9, 15)]])[0]
    assert colored(same, MAGENTA) and colored(same, WHITE)
    assert colored(same, MAGENTA) | colored(same, WHITE) == outline(2, 3, 9, 15)


def test_boxes_beyond_the_image_and_boxes_without_area():
    drawn = render.draw_boxes(np.zeros((1, 6, 6, 3)), [[]], [[(-2, 1.4, 4.6, 9)]])[0]
    assert colored(drawn, WHITE) == outline(0, 1, 5, 6)
    assert not render.draw_boxes(np.zeros((1, 6, 6, 3)), [[]], [(0, 0, 0, 0)]).any()


def test_lines_in_large_images_are_wider():
    drawn = render.draw_boxes(np.zeros((1, 480, 480, 3), "uint8"), [[(100, 100, 200, 200)]])[0]
    assert len(colored(drawn, MAGENTA)) == 100**2 - 92**2


def test_boxes_that_do_not_fit_raise_one_line():
    with pytest.raises(ValueError, match="boxes of 1 images do not fit 2 images"):
        render.draw_boxes(np.zeros((2, 6, 6, 3)), [[]])
    with pytest.raises(ValueError, match="true boxes of 3 images do not fit 2 images"):
        render.draw_boxes(np.zeros((2, 6, 6, 3)), [[], []], np.zeros((3, 4)))
