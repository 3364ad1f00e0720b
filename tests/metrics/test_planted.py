"""A planted model: its decision provably depends on one patch, and each metric ranks the true map first."""

import keras
import numpy as np
import pytest
from helpers.metrics import explanation_of
from keras import layers

from keras_actmaps import metrics

ROWS, COLUMNS = slice(6, 10), slice(4, 8)  # the patch
SETTINGS = {
    "pixel_flipping": {"patch": 2, "steps": 6},
    "sensitivity_n": {"patch": 2},
    "road": {"noise": 0},
    "infidelity": {"scaled": False},
    "irof": {"segments": "grid", "cells": 6, "fill": "zero"},
    "mu_fidelity": {"patch": 2},
}
FAITHFULNESS = [
    "deletion",
    "insertion",
    "pixel_flipping",
    "road",
    "irof",
    "average_drop",
    "increase_in_confidence",
    "sensitivity_n",
    "infidelity",
    "completeness_gap",
    "mu_fidelity",
]


def planted(others: float = 0.0):
    """A network, four images and the exact contributions: class 1 is the sum of the patch, and `others` per pixel.

    The other pixels do not contribute to the decision, or contribute against it where `others` is negative.
    """
    weights = np.full((12, 12), others)
    weights[ROWS, COLUMNS] = 0.5
    model = keras.Sequential([keras.Input((12, 12, 1)), layers.Flatten(), layers.Dense(2), layers.Softmax()])
    model.layers[1].set_weights([np.stack([np.zeros(144), weights.ravel()], axis=1), np.array([2.0, 0.0])])
    images = np.random.default_rng(0).uniform(0, 0.5, (4, 12, 12, 1)).astype("float32")
    images[:, ROWS, COLUMNS] += 0.5  # unlike its surroundings, from which `road` imputes it
    return model, images, weights * images[..., 0]


def measure(metric, maps, others=0.0, **settings):
    model, images, _ = planted(others)
    return getattr(metrics, metric)(model, images, explanation_of(maps, 1), **SETTINGS.get(metric, {}) | settings)


def random_maps(true):
    random = np.random.default_rng(1)
    return [random.uniform(0, true.max(), true.shape) for _ in range(3)]


@pytest.mark.parametrize("metric", FAITHFULNESS)
def test_the_true_map_is_better_than_random_maps_and_the_inverted_map(metric):
    others = -0.09 if metric == "increase_in_confidence" else 0.0  # without evidence against, nothing can increase
    _, _, true = planted(others)
    sign = {"higher": 1, "lower": -1}[metrics.METRICS[metric].better]
    best = sign * measure(metric, true, others)
    for wrong in (*random_maps(true), -true):
        assert (best > sign * measure(metric, wrong, others)).all()


def test_scaled_infidelity_cannot_tell_a_map_from_its_inverse():
    """The factor that fits best is negative for the inverted map."""
    _, _, true = planted()
    best = measure("infidelity", true, scaled=True)
    np.testing.assert_allclose(measure("infidelity", -true, scaled=True), best, atol=1e-6)
    for wrong in random_maps(true):
        assert (best + 0.01 < measure("infidelity", wrong, scaled=True)).all()


def test_the_ends_of_the_scales():
    _, _, true = planted()
    np.testing.assert_allclose(measure("sensitivity_n", true), 1, atol=1e-4)
    np.testing.assert_allclose(measure("sensitivity_n", -true), -1, atol=1e-4)
    np.testing.assert_allclose(measure("mu_fidelity", true), 1, atol=1e-4)
    np.testing.assert_allclose(measure("mu_fidelity", -true), -1, atol=1e-4)
    np.testing.assert_allclose(measure("infidelity", true), 0, atol=1e-6)
    np.testing.assert_array_equal(measure("increase_in_confidence", planted(-0.09)[2], -0.09), 1)
    model, images, _ = planted()
    patch = np.zeros((4, 12, 12))
    patch[:, ROWS, COLUMNS] = 1
    whole, empty = model.predict(images, verbose=0)[:, 1], model.predict(0 * images, verbose=0)[:, 1]
    np.testing.assert_allclose(measure("average_drop", patch), 0, atol=1e-6)
    np.testing.assert_allclose(measure("average_drop", 1 - patch), (whole - empty) / whole, rtol=1e-4)
    first = metrics.deletion(model, images, explanation_of(patch, 1), steps=9)  # the patch is hidden in the first step
    last = metrics.deletion(model, images, explanation_of(1 - patch, 1), steps=9)  # and in the last
    np.testing.assert_allclose(first, empty + (whole - empty) / 18, rtol=1e-4)
    np.testing.assert_allclose(last, whole - (whole - empty) / 18, rtol=1e-4)
