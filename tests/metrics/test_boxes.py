"""Boxes: the worked example of Choe et al.'s program, shapes drawn by hand, thresholds that can be counted."""

import numpy as np
import pytest

from keras_actmaps import Explanation, boxes
from keras_actmaps.metrics.boxes import best_overlaps, best_threshold, box_masks, iou_of, widened


def explained(*maps):
    maps = np.asarray(maps, "float32")
    return Explanation(maps, np.zeros(len(maps), int), np.zeros(len(maps)), "gradcam")


ONE_PEAK = [[0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.4, 0.4, 0.4, 0.6], [0.0, 0.4, 1.0, 0.8, 0.6], [0.0, 0.4, 0.4, 0.4, 0.6]]


@pytest.mark.parametrize("scale", [1, 7.3, 1e-20])
@pytest.mark.parametrize(
    "threshold, box",
    [(0, (1, 1, 4, 5)), (0.2, (1, 1, 4, 5)), (0.4, (1, 2, 4, 5)), (0.6, (2, 2, 3, 4)), (0.8, (2, 2, 3, 3))],
)
def test_one_peak_as_in_wsolevaluation(threshold, box, scale):
    """Its test_compute_bboxes_from_scoremaps_unimodal, whose ends are cut to the last pixel, as (y0, x0, y1, x1)."""
    (found,) = boxes(explained(np.float32(ONE_PEAK) * np.float32(scale)), threshold)
    assert [one[:4] for one in found] == [box]


def test_parts_are_joined_at_corners_and_come_the_largest_first():
    values = np.zeros((6, 9))
    values[0, 0], values[1, 1], values[2, 2] = 1, 1, 1  # a diagonal: one part of 3 pixels
    values[4:6, 5:9] = 0.5  # 8 pixels
    values[0, 8] = 1
    (found,) = boxes(explained(values), 0.15, largest=False)
    assert [one[:4] for one in found] == [(4, 5, 6, 9), (0, 0, 3, 3), (0, 8, 1, 9)]
    np.testing.assert_allclose([one[4] for one in found], [4 / 8, 3 / 8, 1 / 8])
    assert boxes(explained(values)) == [found[:1]]


def test_only_what_speaks_for_the_target_has_a_box():
    values = np.zeros((5, 5))
    values[1, 1], values[3, 3] = -9, 2
    assert boxes(explained(values)) == [[(3, 3, 4, 4, 1.0)]]


@pytest.mark.parametrize("threshold", [0, 0.15, 0.99, "otsu"])
def test_constant_maps(threshold):
    assert boxes(explained(np.full((3, 4), 2.5)), threshold) == [[(0, 0, 3, 4, 1.0)]]
    assert boxes(explained(np.zeros((3, 4)), np.full((3, 4), -1)), threshold, largest=False) == [[], []]


def otsu(levels):
    """The highest of the levels 0..255 that go below, by the variances on both sides."""
    cuts = range(int(levels.min()), int(levels.max()))
    return cuts[np.argmin([sum(part.size * part.var() for part in (levels[levels <= cut], levels[levels > cut]))
                           for cut in cuts])]  # fmt: skip


def test_otsu_parts_two_heaps_where_their_variances_are_least():
    random = np.random.default_rng(0)
    values = random.normal(20, 2, (30, 30))
    values[5:15, 10:25] = random.normal(80, 2, (10, 15))
    assert [one[:4] for one in boxes(explained(values), "otsu")[0]] == [(5, 10, 15, 25)]
    for power in (0.5, 1, 3):  # no gap: the level itself decides
        values = np.linspace(0, 1, 256) ** power
        levels = np.rint(values * 255)
        first = int(np.argmax(levels > otsu(levels)))
        assert boxes(explained(values[None]), "otsu")[0][0][:4] == (0, first, 1, 256)


def test_iou_is_that_of_counted_pixels():
    assert iou_of([(1, 2, 6, 7)], [(3, 1, 5, 6)]) == pytest.approx(8 / 27)
    random = np.random.default_rng(0)
    some, others = (np.concatenate([low := random.integers(0, 6, (20, 2)), low + random.integers(0, 6, (20, 2))], 1)
                    for _ in range(2))  # fmt: skip
    for one, row in zip(some, iou_of(some, others)):
        for other, found in zip(others, row):
            masks = [box_masks([box], (12, 12))[0] for box in (one, other)]
            union = (masks[0] | masks[1]).sum()
            assert found == pytest.approx((masks[0] & masks[1]).sum() / union if union else 0)


def test_the_best_threshold_is_where_most_boxes_meet():
    ramp = np.tile(np.arange(1, 11) / 10, (10, 1))  # above t: the columns from 10 t on
    truth = [(0, 5, 10, 10), (0, 5, 10, 10), (0, 0, 0, 0)]
    maps = explained(ramp, ramp, ramp)
    thresholds = [0.05, 0.25, 0.55, 0.85]
    overlaps = best_overlaps(maps, truth, thresholds, largest=True)
    np.testing.assert_allclose(overlaps[:, 0], [5 / 10, 5 / 8, 5 / 5, 2 / 5])
    assert np.isnan(overlaps[:, 2]).all()
    assert best_threshold(maps, truth, 0.7, thresholds) == 0.55
    assert best_threshold(maps, truth, 0.6, thresholds) == 0.25  # the least of those that do as well
    assert boxes(explained(ramp), best_threshold(maps, truth, 0.9))[0][0][:4] == (0, 5, 10, 10)


def test_several_true_boxes_and_several_parts_are_matched_at_best():
    values = np.zeros((8, 8))
    values[0:4, 0:4], values[6:8, 6:8] = 1, 0.9
    truth = [[(6, 6, 8, 8), (0, 5, 2, 8)]]
    assert best_overlaps(explained(values), truth, [0.5], largest=False) == 1
    assert best_overlaps(explained(values), truth, [0.5], largest=True) == 0


def test_masks_of_boxes_and_around_them():
    masks = box_masks([[(0.4, 1, 2.6, 3)], [(0, 0, 1, 1), (2, 2, 4, 4)], []], (4, 5))
    assert [np.argwhere(mask).tolist() for mask in masks] == [
        [[0, 1], [0, 2], [1, 1], [1, 2], [2, 1], [2, 2]], [[0, 0], [2, 2], [2, 3], [3, 2], [3, 3]], []]  # fmt: skip
    point = np.zeros((1, 15, 13), bool)
    point[0, 3, 9] = True
    for reach in (1, 1.5, 2, 4.3, 20):
        rows, columns = np.indices((15, 13))
        np.testing.assert_array_equal(widened(point, reach)[0], (rows - 3) ** 2 + (columns - 9) ** 2 <= reach**2)


def test_bad_input_is_one_line():
    maps = explained(np.ones((4, 4)))
    for threshold in (1, -0.1, "best", None, True, np.nan):
        with pytest.raises(
            ValueError, match=r"no threshold .*; give a fraction of the maximum, 0 to below 1, or 'otsu'"
        ):
            boxes(maps, threshold)
    for truth, message in [
        (None, "no true boxes were given"),
        ([(0, 0, 1, 1)] * 2, "true boxes of 2 images do not fit maps of 1"),
        ([(0, 0, 1)], r"true boxes of shape \(3,\); give \(y0, x0, y1, x1\)"),
        ([(2, 0, 1, 1)], r"box \(2.0, 0.0, 1.0, 1.0\) ends before it begins"),
    ]:
        with pytest.raises(ValueError, match=message):
            best_threshold(maps, truth)
    with pytest.raises(ValueError, match=r"boxes need maps \(N,H,W\), not \(1, 5\)"):
        boxes(explained(np.ones(5)))
    with pytest.raises(ValueError, match="maps of 2 targets an image; give those of one"):
        boxes(Explanation(np.ones((1, 2, 4, 4)), np.zeros((1, 2), int), np.zeros((1, 2)), "cam"))
