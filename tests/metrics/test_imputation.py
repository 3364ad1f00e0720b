"""ROAD against a dense linear solution written out pixel by pixel, and on images where the answer is known."""

import numpy as np
import pytest
from helpers import array, gap_network
from helpers.metrics import explanation_of, softmax

from keras_actmaps import backend
from keras_actmaps.metrics import road, road_curve
from keras_actmaps.metrics.imputation import impute

imputed = backend.CompiledFunction(impute)


def solved(image, hole):
    """An image (H, W, C) whose pixels in the hole are the weighted mean of their neighbors: a dense system (ROAD)."""
    height, width = hole.shape
    unknown = [tuple(place) for place in np.argwhere(hole)]
    number = {place: row for row, place in enumerate(unknown)}
    matrix, right = np.zeros((len(unknown),) * 2), np.zeros((len(unknown), image.shape[-1]))
    for (row, column), own in number.items():
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                other = row + down, column + across
                if (down, across) == (0, 0) or not (0 <= other[0] < height and 0 <= other[1] < width):
                    continue
                weight = 1 / 12 if down and across else 1 / 6
                matrix[own, own] += weight
                if other in number:
                    matrix[own, number[other]] -= weight
                else:
                    right[own] += weight * image[other]
    result = image.astype("float64")
    result[hole] = np.linalg.solve(matrix, right)
    return result


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_imputation_is_the_dense_solution(images, share):
    holes = np.random.default_rng(0).random(images.shape[:3]) < share
    holes[0] = np.arange(12)[:, None] + np.arange(16) < 22 * share  # one large hole, which touches the border
    found = array(imputed(*map(np.float32, (images, holes[..., None]))))
    np.testing.assert_allclose(found, [solved(*pair) for pair in zip(images, holes)], atol=1e-4)


def test_one_pixel_is_the_weighted_mean_of_its_neighbors():
    image = np.zeros((1, 3, 3, 1), "float32")
    image[0, :, :, 0] = [[12, 0, 0], [6, 99, 0], [0, 0, 0]]
    hole = np.zeros((1, 3, 3, 1), "float32")
    hole[0, 1, 1] = 1
    assert array(imputed(image, hole))[0, 1, 1, 0] == pytest.approx(12 / 12 + 6 / 6)
    corner = np.roll(hole, (-1, -1), axis=(1, 2))  # 0, 6 beside it and 99 at its corner
    assert array(imputed(image, corner))[0, 0, 0, 0] == pytest.approx((0 / 6 + 6 / 6 + 99 / 12) / (2 / 6 + 1 / 12))


def test_what_is_constant_stays_so_and_rows_do_not_mix(images):
    holes = (np.random.default_rng(0).random((5, 12, 16, 1)) < 0.8).astype("float32")
    constant = np.full_like(images, 0.7)
    np.testing.assert_allclose(array(imputed(constant, holes)), 0.7, rtol=1e-5)
    mixed = np.concatenate([constant[:1], 1000 * images[1:]])
    np.testing.assert_allclose(array(imputed(mixed, holes))[0], 0.7, rtol=1e-5)


def test_a_large_hole_of_a_large_image():
    """A function that is linear in the position is the weighted mean of its neighbors everywhere inside."""
    ramp = (np.arange(96)[:, None] / 96 + np.arange(80) / 40)[None, ..., None].astype("float32")
    hole = np.zeros((1, 96, 80, 1), "float32")
    hole[:, 4:-4, 4:-4] = 1
    np.testing.assert_allclose(array(imputed(ramp, hole)), ramp, atol=1e-3)


@pytest.mark.parametrize("noise", [0, 0.05])
def test_the_curve_equals_the_dense_solution_in_the_model(images, noise):
    logits = gap_network()
    e = explanation_of(np.random.default_rng(1).normal(size=images.shape[:3]), [0, 1, 2, 3, 0])
    shares = (0.2, 0.6)
    found = road_curve(gap_network(activation="softmax"), images, e, shares=shares, noise=noise, seed=4, batch_size=4)
    for image, importance, target, curve in zip(images, e.maps, e.targets, found):
        for number, share in enumerate(shares):
            hole = np.zeros(192, bool)
            hole[np.argsort(-importance.ravel(), kind="stable")[: int(share * 192)]] = True
            hole = hole.reshape(12, 16)
            filled = solved(image, hole)
            drawn = np.random.default_rng([4, number]).standard_normal(image.shape, "float32")
            filled[hole] += noise * np.ptp(image) * drawn[hole]
            expected = softmax(logits.predict(filled[None].astype("float32"), verbose=0))[0, target]
            np.testing.assert_allclose(curve[number], expected, atol=1e-4)
    mean = road(gap_network(activation="softmax"), images, e, shares=shares, noise=noise, seed=4)
    np.testing.assert_allclose(mean, found.mean(axis=1), atol=1e-5)


def test_a_seed_gives_the_same_numbers_and_another_seed_others(images):
    e = explanation_of(images[..., 0])
    first, again, other = (road(gap_network(), images, e, score="logit", noise=0.1, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"shares": (0.1, 1.0)}, r"shares must be a finite number > 0 and < 1, a tuple .*, got \(0.1, 1.0\)"),
        ({"shares": ()}, r"shares must contain at least one number between 0 and 1, got \(\)"),
        ({"noise": -1}, "noise must be a finite number >= 0, got -1"),
        ({"seed": -1}, "seed must be an integer >= 0 .*, got -1"),
    ],
)
@pytest.mark.usefixtures("no_passes")
def test_bad_settings_are_refused_before_any_work(settings, error, images):
    with pytest.raises(ValueError, match=error):
        road(gap_network(), images, explanation_of(images[..., 0]), **settings)
