"""Localization: perfect, worst, constant and random maps, counts by hand, and a network that uses one patch."""

import keras
import numpy as np
import pytest
from helpers.metrics import explanation_of
from keras import layers

import keras_actmaps as kam
from keras_actmaps import metrics
from keras_actmaps.metrics.boxes import box_masks

OF_MASKS = ("pointing_game", "energy_pointing", "mass_accuracy", "rank_accuracy", "pixel_average_precision")
OF_BOXES = ("box_iou", "max_box_accuracy")
BOXES = [(2, 3, 8, 9), (0, 0, 5, 4), (6, 8, 12, 14)]  # of 36, 20 and 36 pixels
SPACE = (12, 14)
MASKS = box_masks(BOXES, SPACE)


def measured(name, maps, masks=MASKS, boxes=BOXES):
    return getattr(metrics, name)(explanation_of(maps), masks if name in OF_MASKS else boxes)


@pytest.mark.parametrize("name", OF_MASKS + OF_BOXES)
def test_perfect_and_worst_maps(name):
    values = measured(name, MASKS)
    np.testing.assert_allclose(values.mean(), 1)
    if name != "pixel_average_precision":
        np.testing.assert_allclose(values, 1)
    if name in OF_MASKS[:-1]:
        np.testing.assert_array_equal(measured(name, ~MASKS), 0)
    corner = np.zeros((3, *SPACE))
    corner[:, -1, 0] = 1  # far from every mask
    if name not in ("pixel_average_precision", "rank_accuracy"):  # which need more pixels to go wrong
        np.testing.assert_array_equal(measured(name, corner), 0)


def test_the_worst_pixel_average_precision_is_that_of_masks_last():
    """All background first: the precision of the k-th of K pixels of the masks would be k / (P - K + k), but ties."""
    total, pixels = MASKS.sum(), MASKS.size
    assert measured("pixel_average_precision", ~MASKS).mean() == pytest.approx(total / pixels)
    ranked = np.where(MASKS, 0, 1).astype("float64")
    ranked[MASKS] = -np.arange(total) / total  # no positive part: tied with nothing else positive
    assert measured("pixel_average_precision", ranked).mean() == pytest.approx(total / pixels)
    ranked[MASKS] = 0.5 - 0.4 * np.arange(total) / total
    places = np.arange(1, total + 1)
    expected = (places / (pixels - total + places)).mean()
    assert measured("pixel_average_precision", ranked).mean() == pytest.approx(expected)


@pytest.mark.parametrize("name", OF_MASKS)
@pytest.mark.parametrize("value", [3, 0, -2])
def test_a_constant_map_gets_the_masks_share(name, value):
    values = measured(name, np.full((3, *SPACE), value))
    np.testing.assert_allclose(values.mean(), MASKS.mean())
    if name != "pixel_average_precision":
        np.testing.assert_allclose(values, MASKS.mean((1, 2)))


def test_constant_maps_have_the_box_of_the_image_or_none():
    shares = np.prod(np.subtract(BOXES, 0)[:, 2:] - np.array(BOXES)[:, :2], 1) / np.prod(SPACE)
    np.testing.assert_allclose(measured("box_iou", np.ones((3, *SPACE))), shares)
    for value in (0, -1):
        for name in OF_BOXES:
            np.testing.assert_array_equal(measured(name, np.full((3, *SPACE), value)), 0)


@pytest.mark.parametrize("name", OF_MASKS)
def test_random_maps_get_the_masks_share(name):
    count = 600
    maps = np.random.default_rng(0).random((count, *SPACE))
    masks = np.repeat(MASKS[:1], count, axis=0)
    share = MASKS[0].mean()
    error = np.sqrt(share * (1 - share) / count)  # of the pointing game, the most scattered
    np.testing.assert_allclose(measured(name, maps, masks).mean(), share, atol=3 * error)


def test_values_counted_by_hand():
    maps = np.array([[[4, -9, 0], [2, 1, 3]]])
    masks = np.array([[[1, 1, 0], [0, 0, 1]]])
    assert measured("pointing_game", maps, masks) == 1
    assert measured("energy_pointing", maps, masks) == pytest.approx(7 / 10)
    one = explanation_of(maps)
    assert metrics.mass_accuracy(one, masks) == pytest.approx(7 / 10)
    assert metrics.mass_accuracy(one, masks, part="absolute") == pytest.approx(16 / 19)
    assert metrics.mass_accuracy(one, masks, part="squared") == pytest.approx((16 + 81 + 9) / (16 + 81 + 4 + 1 + 9))
    assert metrics.rank_accuracy(one, masks) == pytest.approx(2 / 3)  # 4 and 3 of 4, 3, 2
    assert metrics.rank_accuracy(one, masks, part="absolute") == 1  # 9, 4, 3
    # precision 1/1, 2/2, then -9 counts as 0 and is tied with 0: 3/6
    assert metrics.pixel_average_precision(one, masks) == pytest.approx((1 + 1 + 1 / 2) / 3)


def test_pixel_average_precision_is_over_all_pixels_of_the_set():
    random = np.random.default_rng(0)
    maps = random.integers(0, 6, (4, 5, 6)) * [[[1]], [[10]], [[0.1]], [[3]]]
    maps[:, 0, 0] = maps.max((1, 2)) + 1
    masks = random.random((4, 5, 6)) < [[[0.1]], [[0.5]], [[0.9]], [[0.3]]]
    values = maps / maps.max((1, 2), keepdims=True)
    expected, recall = 0, 0
    for threshold in sorted(set(values.astype("float32").astype("float64").ravel()), reverse=True):
        chosen = values >= threshold - 1e-6
        tp = (chosen & masks).sum()
        expected += tp / chosen.sum() * (tp / masks.sum() - recall)
        recall = tp / masks.sum()
    assert measured("pixel_average_precision", maps, masks).mean() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("row, column", [(4, 10), (10, 10), (9, 11)])
def test_the_pointing_game_counts_pixels_within_the_tolerance(row, column):
    """The box ends with row 7 and column 8."""
    maps = np.zeros((1, *SPACE))
    maps[0, row, column] = 1
    distance = np.hypot(max(row - 7, 0), column - 8)
    for tolerance in (0, 1, distance - 0.01, distance, 5):
        hit = metrics.pointing_game(explanation_of(maps), MASKS[:1], tolerance=tolerance)
        assert hit == (tolerance >= distance)


def test_equal_maxima_share_the_hit():
    maps = np.zeros((1, *SPACE))
    maps[0, 4, 5] = maps[0, 4, 6] = maps[0, 0, 0] = maps[0, 11, 13] = 7
    assert metrics.pointing_game(explanation_of(maps), MASKS[:1]) == pytest.approx(2 / 4)


def test_max_box_accuracy_takes_the_best_threshold_of_the_set():
    ramp = np.tile(np.arange(1, 11) / 10, (10, 1))  # above t: the columns from 10 t on, so IoU is a matter of t
    truth = [(0, 5, 10, 10), (0, 5, 10, 10), (0, 9, 10, 10)]
    maps, thresholds = explanation_of([ramp] * 3), [0.05, 0.55, 0.85]
    # IoU of the first two at these thresholds: 5/10, 5/5, 2/5; of the third: 1/10, 1/5, 1/2
    for level, expected in {0.3: [1, 1, 1], 0.45: [1, 1, 0], 0.7: [1, 1, 0]}.items():
        values = metrics.max_box_accuracy(maps, truth, levels=[level], thresholds=thresholds)
        np.testing.assert_array_equal(values, expected)
    np.testing.assert_allclose(metrics.max_box_accuracy(maps, truth, thresholds=thresholds), [1, 1, 1 / 3])


def test_max_box_accuracy_version_two_takes_the_best_part_and_version_one_the_largest():
    maps = np.zeros((1, 8, 8))
    maps[0, 0:4, 0:4], maps[0, 6:8, 6:8] = 1, 0.9
    truth = [(6, 6, 8, 8)]
    assert metrics.max_box_accuracy(explanation_of(maps), truth) == 1
    assert metrics.max_box_accuracy(explanation_of(maps), truth, levels=(0.5,), largest=True) == 0
    assert metrics.box_iou(explanation_of(maps), truth) == 0
    assert metrics.box_iou(explanation_of(maps), truth, largest=False) == 1
    assert metrics.box_iou(explanation_of(maps), [[(6, 6, 8, 8), (0, 0, 4, 8)]]) == pytest.approx(1 / 2)


@pytest.mark.parametrize("name", OF_MASKS + OF_BOXES)
def test_images_without_truth_are_nan(name):
    maps = np.random.default_rng(0).random((3, *SPACE))
    masks, boxes = MASKS.copy(), [BOXES[0], (0, 0, 0, 0), BOXES[2]]
    masks[1] = False
    values = measured(name, maps, masks, boxes)
    assert np.isnan(values).tolist() == [False, True, False]
    np.testing.assert_allclose(values[[0, 2]], measured(name, maps[[0, 2]], masks[[0, 2]], [BOXES[0], BOXES[2]]))
    assert np.isnan(measured(name, maps, 0 * masks, [(0, 0, 0, 0)] * 3)).all()


@pytest.mark.parametrize("name", OF_MASKS)
def test_bad_masks_are_refused(name):
    maps = np.ones((3, *SPACE))
    for masks, message in [
        (None, "masks must be bool or 0 and 1, one per image, got None"),
        (MASKS[:, :5], r"masks of shape \(3, 5, 14\) do not fit maps of shape \(3, 12, 14\)"),
        (MASKS + 1, "masks contain other values than 0 and 1; data.masks returns"),
    ]:
        with pytest.raises(ValueError, match=message):
            measured(name, maps, masks)


def test_bad_settings_are_refused():
    one = explanation_of(np.ones((3, *SPACE)))
    for tolerance in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="tolerance must be a finite number >= 0, got"):
            metrics.pointing_game(one, MASKS, tolerance=tolerance)
    with pytest.raises(ValueError, match="part must be 'positive', 'absolute' or 'squared', got 'best'"):
        metrics.rank_accuracy(one, MASKS, part="best")
    for settings, error in (
        ({"levels": ()}, r"levels must contain at least one number, got \(\)"),
        ({"levels": ("otsu",)}, "levels must be a tuple whose items are each a finite number >= 0 and < 1"),
        ({"thresholds": []}, r"thresholds must contain at least one fraction, got \(\)"),
        ({"largest": object()}, "largest must be true or false, got"),
    ):
        with pytest.raises(ValueError, match=error):
            metrics.max_box_accuracy(one, BOXES, **settings)
    for name in OF_BOXES:
        with pytest.raises(ValueError, match="boxes must be of shape"):
            measured(name, np.ones((3, *SPACE)), boxes=None)


@pytest.fixture(scope="module")
def planted():
    """A network whose score is the brightness of one patch: its maps, the patch's masks and boxes."""
    box, shape = (5, 6, 11, 12), (16, 18, 1)
    weights = np.zeros((*shape, 2), "float32")
    weights[5:11, 6:12, :, 1] = 1
    model = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(2)])
    model.layers[-1].set_weights([weights.reshape(-1, 2), np.zeros(2)])
    images = np.random.default_rng(0).uniform(0.2, 1, (6, *shape)).astype("float32")
    return model, images, box_masks([box] * 6, shape[:2]), [box] * 6


@pytest.mark.parametrize("name", OF_MASKS + OF_BOXES)
@pytest.mark.parametrize("method", ["gradient_x_input", "integrated_gradients", "lrp", "occlusion"])
def test_true_maps_score_higher_than_random_and_inverted_ones(planted, name, method):
    model, images, masks, boxes = planted
    settings = {"patch": 3, "stride": 1} if method == "occlusion" else {}
    maps = kam.explain(model, images, method, targets=1, **settings).maps
    random = np.random.default_rng(1).random(maps.shape)
    true, chance, inverted = (
        np.mean(measured(name, one, masks, boxes)) for one in (maps, random, maps.max((1, 2), keepdims=True) - maps)
    )
    assert true > chance + 0.3 and true > inverted + 0.3
