"""IROF: by hand, on linear models, and its order and its segments."""

import keras
import numpy as np
import pytest
from helpers import gap_network
from helpers.metrics import explanation_of
from keras import layers

from keras_actmaps.metrics import deletion, irof


def summing_network(side: int, bias: float = 0.0) -> keras.Model:
    """The score is the sum of the pixels."""
    model = keras.Sequential([keras.Input((side, side, 1)), layers.Flatten(), layers.Dense(1)])
    model.set_weights([np.ones((side * side, 1)), np.array([bias])])
    return model


def test_values_calculated_by_hand():
    """Segments of sum 8, 4, 2 and 2: the score is 16, 8, 4, 2, 0 if they are removed in this order."""
    labels = np.kron(np.array([[0, 1], [2, 3]]), np.ones((2, 2), int))
    images = np.array([2, 1, 0.5, 0.5], "float32")[labels][None, ..., None]
    settings = {"segments": labels, "fill": "zero"}
    for values, scores in {
        (4, 3, 2, 1): (16, 8, 4, 2, 0),
        (1, 2, 3, 4): (16, 14, 12, 8, 0),
        (0, 0, 0, 0): (16, 8, 4, 2, 0),  # ties by number
        (-1, 5, -2, -3): (16, 12, 4, 2, 0),
    }.items():
        e = explanation_of(np.array(values)[labels][None])
        shares = np.array(scores) / 16
        expected = np.mean(1 - (shares[:-1] + shares[1:]) / 2)
        np.testing.assert_allclose(irof(summing_network(4), images, e, **settings), [expected], rtol=1e-6)


def test_segments_are_ordered_by_their_mean_not_their_sum():
    labels = np.zeros((4, 4), int)
    labels[0, 0] = 1
    images = np.ones((1, 4, 4, 1), "float32")
    maps = np.where(labels == 1, 2.0, 1.0)[None]  # the sums are 15 and 2
    found = irof(summing_network(4), images, explanation_of(maps), segments=labels, fill="zero")
    np.testing.assert_allclose(found, [1 - (1 + 2 * 15 / 16 + 0) / 4], rtol=1e-6)


def test_a_grid_with_the_mean_color_is_the_complement_of_deletion_by_patches(images):
    """1 - the area under the deletion curve relative to its start, with one patch a step."""
    model, e = gap_network(), explanation_of(np.random.default_rng(0).normal(size=images.shape[:3]), 1)
    found = irof(model, images, e, segments="grid", cells=4)
    whole = keras.ops.convert_to_numpy(keras.ops.softmax(model(images)))[:, 1]
    area = deletion(model, images, e, patch=(3, 4), steps=16, fill="mean")
    np.testing.assert_allclose(found, 1 - area / whole, rtol=1e-4, atol=1e-5)


def test_images_with_different_numbers_of_segments_do_not_affect_each_other(images):
    def halves(image):
        return np.broadcast_to(np.arange(16) // (8 if image[0, 0, 0] > 0.5 else 4), (12, 16))

    images = images.copy()
    images[:, 0, 0, 0] = [0.9, 0.1, 0.9, 0.1, 0.1]
    model, e = gap_network(), explanation_of(images.mean(-1), 2)
    alone = [irof(model, images[n : n + 1], e[n], segments=halves)[0] for n in range(5)]
    np.testing.assert_allclose(irof(model, images, e, segments=halves), alone, rtol=1e-4, atol=1e-6)


def test_negative_scores_and_unfit_segments_are_refused():
    images, e = np.ones((1, 4, 4, 1), "float32"), explanation_of(np.ones((1, 4, 4)))
    with pytest.raises(ValueError, match="image 0 has the score -4, and a share of a negative score is not defined"):
        irof(summing_network(4, -20.0), images, e, cells=2)
    with pytest.raises(ValueError, match=r"segments of shape \(3, 4\) and type int64 do not fit"):
        irof(summing_network(4), images, e, segments=np.zeros((3, 4), int))
    assert irof(summing_network(4, -16.0), images, e, cells=2).tolist() == [0]
