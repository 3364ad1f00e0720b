"""Ground truth: the cell of the garment, and trimaps and head boxes as masks and boxes."""

import numpy as np
import pytest

from keras_actmaps import data
from keras_actmaps.data.grid import place


def test_the_cell_of_a_grid():
    truth = {"position": np.array([0, 1, 2, 3])}
    masks, boxes = data.masks(truth, (56, 56)), data.boxes(truth, (56, 56))
    assert boxes.tolist() == [[0, 0, 28, 28], [0, 28, 28, 56], [28, 0, 56, 28], [28, 28, 56, 56]]
    for mask, (y0, x0, y1, x1) in zip(masks, boxes):
        inside = [[y0 <= row < y1 and x0 <= column < x1 for column in range(56)] for row in range(56)]
        np.testing.assert_array_equal(mask, inside)
    assert masks.dtype == bool and (masks.sum(0) == 1).all()


def test_the_cells_are_where_the_grids_place_the_garments():
    garments, digits = np.full((4, 28, 28, 1), 255, "uint8"), np.zeros((4, 3, 28, 28, 1), "uint8")
    grids = place(garments, digits, np.arange(4)).numpy()[..., 0]
    np.testing.assert_array_equal(grids > 0, data.masks({"position": np.arange(4)}, (56, 56)))


def test_trimaps_and_head_boxes():
    truth = {"mask": np.array([[[1, 2], [3, 1]]], "uint8"), "head_box": np.array([[0, 0.5, 1, 2]], "float32")}
    assert data.masks(truth, (2, 2)).tolist() == [[[True, False], [False, True]]]
    np.testing.assert_array_equal(data.boxes(truth, (2, 2)), truth["head_box"])


def test_a_data_set_without_ground_truth_raises_one_line():
    for part, what in ((data.masks, "masks"), (data.boxes, "boxes")):
        with pytest.raises(ValueError, match=f"the data set has no {what}, only labels; grid, "):
            part({}, (32, 32))
