"""Deletion, insertion and pixel flipping: by hand, and against the formulas of other packages written as loops."""

import itertools

import keras
import numpy as np
import pytest
from helpers import gap_network
from helpers.metrics import explanation_of, softmax
from keras import layers

from keras_actmaps.metrics import deletion, deletion_curve, insertion, insertion_curve, pixel_flipping


def sum_network(features=4) -> keras.Model:
    model = keras.Sequential([keras.Input((features,)), layers.Dense(1)])
    model.set_weights([np.ones((features, 1)), np.zeros(1)])
    return model


def changed(image, base, importance, patch, number):
    """The image with `base` in the `number` patches with the largest mean importance."""
    height, width = importance.shape
    corners = [(top, left) for top in range(0, height, patch[0]) for left in range(0, width, patch[1])]
    cells = [(slice(top, top + patch[0]), slice(left, left + patch[1])) for top, left in corners]
    result = image.copy()
    for cell in sorted(cells, key=lambda cell: -importance[cell].mean(dtype="float64"))[:number]:
        result[cell] = base[cell]
    return result


ROW = np.float32([[0.4, 0.3, 0.2, 0.1]])


def test_the_sum_of_four_numbers_in_two_steps():
    model, e = sum_network(), explanation_of(ROW)
    np.testing.assert_allclose(deletion_curve(model, ROW, e, steps=2), [[1.0, 0.3, 0.0]], atol=1e-6)
    np.testing.assert_allclose(deletion(model, ROW, e, steps=2), [0.4], atol=1e-6)
    np.testing.assert_allclose(insertion_curve(model, ROW, e, steps=2), [[0.0, 0.7, 1.0]], atol=1e-6)
    np.testing.assert_allclose(insertion(model, ROW, e, steps=2), [0.6], atol=1e-6)
    np.testing.assert_allclose(pixel_flipping(model, ROW, e, steps=2), [(0 + 0.7 + 1) / 3], atol=1e-6)


def test_the_sum_of_four_numbers_in_four_steps_forwards_and_backwards():
    model = sum_network()
    np.testing.assert_allclose(
        deletion_curve(model, ROW, explanation_of(ROW), steps=4), [[1, 0.6, 0.3, 0.1, 0]], atol=1e-6
    )
    np.testing.assert_allclose(
        deletion_curve(model, ROW, explanation_of(-ROW), steps=4), [[1, 0.9, 0.7, 0.4, 0]], atol=1e-6
    )
    np.testing.assert_allclose(
        insertion_curve(model, ROW, explanation_of(-ROW), steps=4), [[0, 0.1, 0.3, 0.6, 1]], atol=1e-6
    )


def test_equal_values_come_in_the_order_of_their_positions():
    constant = deletion_curve(sum_network(), ROW, explanation_of(np.zeros((1, 4))), steps=4)
    np.testing.assert_allclose(constant, [[1, 0.6, 0.3, 0.1, 0]], atol=1e-6)
    ties = deletion_curve(sum_network(), ROW, explanation_of([[1, 2, 2, 1]]), steps=4)
    np.testing.assert_allclose(ties, [[1, 0.7, 0.5, 0.1, 0]], atol=1e-6)


def test_steps_that_do_not_divide_the_number_of_features_are_rounded_down():
    images = np.float32([[1, 2, 4, 8, 16]])
    curve = deletion_curve(sum_network(5), images, explanation_of(images), steps=3)  # 0, 1, 3, 5 of them
    np.testing.assert_allclose(curve, [[31, 15, 3, 0]], atol=1e-5)
    curve = insertion_curve(sum_network(5), images, explanation_of(images), steps=2, share=0.8)  # 0, 2, 4 of them
    np.testing.assert_allclose(curve, [[0, 24, 30]], atol=1e-5)


@pytest.mark.parametrize("fill", ["zero", "mean", "blur", 0.3])
@pytest.mark.parametrize("patch", [1, (5, 3)])
@pytest.mark.parametrize("score", ["logit", "softmax", "sigmoid"])
def test_the_curves_equal_the_formulas_written_as_loops(images, fill, patch, score):
    """xplique's CausalFidelity and RISE's CausalMetric as loops: pixels change from start to end by rank."""
    from keras_actmaps.methods._baselines import baseline_for

    model = gap_network(activation="softmax")
    logits = gap_network()
    bases = baseline_for(images, fill)
    maps = np.random.default_rng(1).normal(size=images.shape[:3])
    e, sides = explanation_of(maps, [3, 1, 2, 0, 3]), (patch, patch) if patch == 1 else patch
    count = int(np.prod([-(-side // step) for side, step in zip(images.shape[1:3], sides)]))
    settings = {"steps": 4, "patch": patch, "fill": fill, "score": score, "batch_size": 8}
    turn = {"logit": lambda x: x, "softmax": softmax, "sigmoid": lambda x: 1 / (1 + np.exp(-x))}[score]
    for curve_of, turned in ((deletion_curve, False), (insertion_curve, True)):
        found = curve_of(model, images, e, **settings)
        for image, base, importance, target, curve in zip(images, bases, e.maps, e.targets, found):
            pair = (base, image) if turned else (image, base)
            variants = [changed(*pair, importance, sides, k * count // 4) for k in range(5)]
            expected = turn(logits.predict(np.stack(variants), verbose=0))[:, target]
            np.testing.assert_allclose(curve, expected, rtol=1e-4, atol=1e-5)
            if not turned:
                area = sum((a + b) / 2 for a, b in itertools.pairwise(expected)) / 4
                found_area = deletion(model, image[None], explanation_of(importance[None], [target]), **settings)
                np.testing.assert_allclose(found_area, [area], rtol=1e-4, atol=1e-5)


def test_pixel_flipping_is_the_area_over_the_perturbation_curve(images):
    model, e = gap_network(), explanation_of(np.random.default_rng(1).normal(size=images.shape[:3]), [1] * 5)
    found = pixel_flipping(model, images, e, steps=6, patch=3, share=0.4)  # of 24 patches 9 are flipped
    for image, importance, value in zip(images, e.maps, found):
        zero = np.zeros_like(image)
        flipped = np.stack([changed(image, zero, importance, (3, 3), k * 9 // 6) for k in range(7)])
        scores = model.predict(flipped, verbose=0)[:, 1]
        np.testing.assert_allclose(value, np.mean(scores[0] - scores), rtol=1e-4, atol=1e-5)


def test_sequences_and_volumes():
    for shape in ((10, 3), (4, 5, 6, 2)):
        model = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(1)])
        model.layers[-1].set_weights([np.ones((np.prod(shape), 1)), np.zeros(1)])
        images = np.random.default_rng(0).random((2, *shape), "float32")
        sums = images.sum(-1)
        found = deletion_curve(model, images, explanation_of(sums), steps=5, score="logit")
        order = -np.sort(-sums.reshape(2, -1), axis=1)
        places = order.shape[1]
        expected = [[row[k * places // 5 :].sum() for k in range(6)] for row in order]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"steps": 0}, "steps must be an integer >= 1 and <= 1,000,000, got 0"),
        ({"steps": 200}, "steps must be at most 192, the number of patches that are changed, got 200"),
        ({"steps": 10, "patch": 4, "share": 0.5}, "steps must be at most 6, the number of patches .*, got 10"),
        ({"patch": 0}, "patch must be an integer >= 1 .*, got 0"),
        ({"patch": (3, 2, 1)}, r"patch=\(3, 2, 1\) does not fit maps of shape \(12, 16\)"),
        ({"share": 0}, "share must be a finite number > 0 and <= 1, got 0"),
        ({"share": 1.1}, "share must be a finite number > 0 and <= 1, got 1.1"),
        ({"score": "margin"}, "score must be 'logit', 'softmax' or 'sigmoid', got 'margin'"),
        (
            {"fill": "gray"},
            "fill must be 'zero', 'mean', 'blur', 'pad', 'mask', a finite number or an array, got 'gray'",
        ),
        ({"fill": np.zeros((3, 3))}, r"a baseline of shape \(3, 3\) does not fit inputs of shape \(12, 16, 3\)"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1 and <= 1,000,000, got 0"),
        ({"step": 3}, "deletion has no setting 'step'; it has: steps, patch, share"),
    ],
)
@pytest.mark.usefixtures("no_passes")
def test_bad_settings_are_refused_before_any_work(settings, error, images):
    with pytest.raises(ValueError, match=error):
        deletion(gap_network(), images, explanation_of(images[..., 0]), **settings)
