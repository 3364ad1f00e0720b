"""Boxes: the worked example of Choe et al.'s program, shapes drawn by hand, thresholds that can be counted."""

import numpy as np
import pytest
from helpers.metrics import explanation_of
from scipy import ndimage

from keras_actmaps import Explanation, boxes, masks
from keras_actmaps.metrics.boxes import best_overlaps, best_threshold, box_masks, dilate, pairwise_iou


def stacked(*maps):
    return explanation_of(maps)


ONE_PEAK = [[0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.4, 0.4, 0.4, 0.6], [0.0, 0.4, 1.0, 0.8, 0.6], [0.0, 0.4, 0.4, 0.4, 0.6]]


@pytest.mark.parametrize("scale", [1, 7.3, 1e-20])
@pytest.mark.parametrize(
    "threshold, box",
    [(0, (1, 1, 4, 5)), (0.2, (1, 1, 4, 5)), (0.4, (1, 2, 4, 5)), (0.6, (2, 2, 3, 4)), (0.8, (2, 2, 3, 3))],
)
def test_one_peak_as_in_wsolevaluation(threshold, box, scale):
    """Its test_compute_bboxes_from_scoremaps_unimodal, whose ends are cut to the last pixel, as (y0, x0, y1, x1)."""
    (found,) = boxes(stacked(np.float32(ONE_PEAK) * np.float32(scale)), threshold)
    assert [one[:4] for one in found] == [box]


def test_parts_connect_at_corners_and_the_largest_comes_first():
    values = np.zeros((6, 9))
    values[0, 0], values[1, 1], values[2, 2] = 1, 1, 1  # a diagonal: one part of 3 pixels
    values[4:6, 5:9] = 0.5  # 8 pixels
    values[0, 8] = 1
    (found,) = boxes(stacked(values), 0.15, largest=False)
    assert [one[:4] for one in found] == [(4, 5, 6, 9), (0, 0, 3, 3), (0, 8, 1, 9)]
    np.testing.assert_allclose([one[4] for one in found], [4 / 8, 3 / 8, 1 / 8])
    assert boxes(stacked(values)) == [found[:1]]


def test_only_positive_values_have_a_box():
    values = np.zeros((5, 5))
    values[1, 1], values[3, 3] = -9, 2
    assert boxes(stacked(values)) == [[(3, 3, 4, 4, 1.0)]]


@pytest.mark.parametrize("threshold", [0, 0.15, 0.99, "otsu"])
def test_constant_maps(threshold):
    assert boxes(stacked(np.full((3, 4), 2.5)), threshold) == [[(0, 0, 3, 4, 1.0)]]
    assert boxes(stacked(np.zeros((3, 4)), np.full((3, 4), -1)), threshold, largest=False) == [[], []]


def test_intervals_of_a_series():
    series = [0.0, 2, 2, 0, -5, 0, 6, 0, 1, 1, 1]
    (found,) = boxes(stacked(series), 0.15, largest=False)
    assert found == [(8, 11, 3 / 13), (1, 3, 4 / 13), (6, 7, 6 / 13)]
    assert boxes(stacked(series, np.zeros(11))) == [found[:1], []]
    assert masks(stacked(series), 0.5)[0].nonzero()[0].tolist() == [6]


@pytest.mark.parametrize("threshold", [0, 0.3, 0.7, "otsu"])
def test_a_volume_of_one_slice_has_the_boxes_and_masks_of_the_image(threshold):
    values = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(20, 30)), 1.5)
    before = 0 if threshold == "otsu" else 2  # Otsu's level counts the pixels of empty slices too
    flat, deep = stacked(values), stacked(np.pad(values[None], [(before, 0), (0, 0), (0, 0)]))
    (image,), (volume,) = (boxes(one, threshold, largest=False) for one in (flat, deep))
    assert len(image) > 1
    expected = [(before, y0, x0, before + 1, y1, x1, score) for y0, x0, y1, x1, score in image]
    np.testing.assert_allclose(sorted(volume), sorted(expected), rtol=1e-6)
    np.testing.assert_array_equal(masks(deep, threshold)[0, -1], masks(flat, threshold)[0])
    assert not masks(deep, threshold)[0, :-1].any()


def test_parts_of_a_volume_connect_at_corners():
    values = np.zeros((4, 5, 6))
    values[0, 0, 0] = values[1, 1, 1] = 1
    values[3, 3:5, 4] = 1, 3
    (found,) = boxes(stacked(values), largest=False)
    assert found == [(0, 0, 0, 2, 2, 2, 2 / 6), (3, 3, 4, 4, 5, 5, 4 / 6)]


def otsu(levels):
    """The highest level 0..255 of the lower class, by the variances of both classes."""
    cuts = range(int(levels.min()), int(levels.max()))
    return cuts[
        np.argmin(
            [sum(part.size * part.var() for part in (levels[levels <= cut], levels[levels > cut])) for cut in cuts]
        )
    ]


def test_otsu_divides_values_with_the_least_variance_in_each_class():
    random = np.random.default_rng(0)
    values = random.normal(20, 2, (30, 30))
    values[5:15, 10:25] = random.normal(80, 2, (10, 15))
    assert [one[:4] for one in boxes(stacked(values), "otsu")[0]] == [(5, 10, 15, 25)]
    for power in (0.5, 1, 3):  # no gap: the level itself decides
        values = np.linspace(0, 1, 256) ** power
        levels = np.rint(values * 255)
        first = int(np.argmax(levels > otsu(levels)))
        assert boxes(stacked(values[None]), "otsu")[0][0][:4] == (0, first, 1, 256)


def test_iou_equals_that_of_pixel_masks():
    assert pairwise_iou([(1, 2, 6, 7)], [(3, 1, 5, 6)]) == pytest.approx(8 / 27)
    random = np.random.default_rng(0)
    some, others = (
        np.concatenate([low := random.integers(0, 6, (20, 2)), low + random.integers(0, 6, (20, 2))], 1)
        for _ in range(2)
    )
    for one, row in zip(some, pairwise_iou(some, others)):
        for other, found in zip(others, row):
            masks = [box_masks([box], (12, 12))[0] for box in (one, other)]
            union = (masks[0] | masks[1]).sum()
            assert found == pytest.approx((masks[0] & masks[1]).sum() / union if union else 0)


def test_the_best_threshold_has_most_matching_boxes():
    ramp = np.tile(np.arange(1, 11) / 10, (10, 1))  # above t: the columns from 10 t on
    truth = [(0, 5, 10, 10), (0, 5, 10, 10), (0, 0, 0, 0)]
    maps = stacked(ramp, ramp, ramp)
    thresholds = [0.05, 0.25, 0.55, 0.85]
    overlaps = best_overlaps(maps, truth, thresholds, largest=True)
    np.testing.assert_allclose(overlaps[:, 0], [5 / 10, 5 / 8, 5 / 5, 2 / 5])
    assert np.isnan(overlaps[:, 2]).all()
    assert best_threshold(maps, truth, 0.7, thresholds) == 0.55
    assert best_threshold(maps, truth, 0.6, thresholds) == 0.25  # the least of those that do as well
    assert boxes(stacked(ramp), best_threshold(maps, truth, 0.9))[0][0][:4] == (0, 5, 10, 10)


def test_the_best_pair_of_several_boxes_counts():
    values = np.zeros((8, 8))
    values[0:4, 0:4], values[6:8, 6:8] = 1, 0.9
    truth = [[(6, 6, 8, 8), (0, 5, 2, 8)]]
    assert best_overlaps(stacked(values), truth, [0.5], largest=False) == 1
    assert best_overlaps(stacked(values), truth, [0.5], largest=True) == 0


def test_box_masks_and_their_dilation():
    masks = box_masks([[(0.4, 1, 2.6, 3)], [(0, 0, 1, 1), (2, 2, 4, 4)], []], (4, 5))
    assert [np.argwhere(mask).tolist() for mask in masks] == [
        [[0, 1], [0, 2], [1, 1], [1, 2], [2, 1], [2, 2]],
        [[0, 0], [2, 2], [2, 3], [3, 2], [3, 3]],
        [],
    ]
    point = np.zeros((1, 15, 13), bool)
    point[0, 3, 9] = True
    for reach in (1, 1.5, 2, 4.3, 20):
        rows, columns = np.indices((15, 13))
        np.testing.assert_array_equal(dilate(point, reach)[0], (rows - 3) ** 2 + (columns - 9) ** 2 <= reach**2)


def test_bad_input_is_refused():
    maps = stacked(np.ones((4, 4)))
    for threshold in (1, -0.1, "best", None, True, np.nan):
        with pytest.raises(ValueError, match="threshold must be 'otsu' or a finite number >= 0 and < 1, got"):
            boxes(maps, threshold)
    for largest in (object(), 1, "yes", None):
        with pytest.raises(ValueError, match="largest must be true or false, got"):
            boxes(maps, largest=largest)
    for truth, message in [
        (None, r"boxes must be of shape \(N, 4\), or \(M, 4\) for each image, got None"),
        (7, r"boxes must be numbers \(y0, x0, y1, x1\), \(N, 4\) or \(M, 4\) for each image"),
        (["abcd"], r"boxes must be numbers \(y0, x0, y1, x1\)"),
        ([[(0, 0, 1, 1), (0, 0)]], r"boxes must be numbers \(y0, x0, y1, x1\)"),
        ([(0, 0, 1, 1)] * 2, "boxes of 2 images do not fit maps of 1 images"),
        ([(0, 0, 1)], r"each box must be \(y0, x0, y1, x1\), got an array of shape \(3,\)"),
        ([(2, 0, 1, 1)], r"box \(2.0, 0.0, 1.0, 1.0\) ends before it begins"),
    ]:
        with pytest.raises(ValueError, match=message):
            best_threshold(maps, truth)
    with pytest.raises(ValueError, match=r"need maps \(N, T\), \(N, H, W\) or \(N, D, H, W\), got \(1, 1, 1, 1, 1\)"):
        boxes(stacked(np.ones((1, 1, 1, 1))))
    with pytest.raises(ValueError, match=r"true boxes need maps of images, \(N, H, W\), got \(1, 5\)"):
        best_threshold(stacked(np.ones(5)), [(0, 0, 1, 1)])
    with pytest.raises(ValueError, match="the explanation has maps of 2 targets per image; pass maps of one target"):
        boxes(Explanation(np.ones((1, 2, 4, 4)), np.zeros((1, 2), int), np.zeros((1, 2)), "cam"))
