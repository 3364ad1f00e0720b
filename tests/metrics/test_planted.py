"""A planted model: its decision provably rests on one patch, and each metric says so of the true map."""

import keras
import numpy as np
import pytest
from keras import layers
from test_curves import of

from keras_actmaps.metrics import METRICS

ROWS, COLUMNS = slice(6, 10), slice(4, 8)  # the patch
SETTINGS = {"pixel_flipping": {"patch": 2, "steps": 6}, "sensitivity_n": {"patch": 2}, "road": {"noise": 0}}
FAITHFUL = ["deletion", "insertion", "pixel_flipping", "road", "average_drop", "increase_in_confidence",
            "sensitivity_n", "infidelity", "completeness_gap"]  # fmt: skip


def planted(others: float = 0.0):
    """A network, four images and the exact contributions: class 1 is the patch's sum, and `others` a pixel elsewhere.

    The other places have no part in the decision, or speak against it where `others` is below 0.
    """
    weights = np.full((12, 12), others)
    weights[ROWS, COLUMNS] = 0.5
    model = keras.Sequential([keras.Input((12, 12, 1)), layers.Flatten(), layers.Dense(2), layers.Softmax()])
    model.layers[1].set_weights([np.stack([np.zeros(144), weights.ravel()], axis=1), np.array([2.0, 0.0])])
    images = np.random.default_rng(0).uniform(0, 0.5, (4, 12, 12, 1)).astype("float32")
    images[:, ROWS, COLUMNS] += 0.5  # so that its surroundings do not give it away, which `road` fills in from
    return model, images, weights * images[..., 0]


def values(metric, maps, others=0.0):
    model, images, _ = planted(others)
    return METRICS[metric](model, images, of(maps, np.ones(4, int)), **SETTINGS.get(metric, {}))


@pytest.mark.parametrize("metric", FAITHFUL)
def test_the_true_map_is_better_than_random_ones_and_than_the_inverted_one(metric):
    others = -0.09 if metric == "increase_in_confidence" else 0.0  # where nothing speaks against, nothing can increase
    _, _, true = planted(others)
    sign = {"higher": 1, "lower": -1}[METRICS[metric].better]
    best = sign * values(metric, true, others)
    random = np.random.default_rng(1)
    wrong = [values(metric, random.uniform(0, true.max(), true.shape), others) for _ in range(3)]
    # the scaled infidelity of the inverted map is that of the map, as its best number b is negative
    inverted = METRICS[metric](*planted(others)[:2], of(-true, np.ones(4, int)), scaled=False) if (
        metric == "infidelity") else values(metric, -true, others)  # fmt: skip
    for worse in (*wrong, inverted):
        assert (best > sign * worse).all()


def test_the_ends_of_the_scales():
    _, _, true = planted()
    np.testing.assert_allclose(values("sensitivity_n", true), 1, atol=1e-4)
    np.testing.assert_allclose(values("sensitivity_n", -true), -1, atol=1e-4)
    np.testing.assert_allclose(values("infidelity", true), 0, atol=1e-6)
    np.testing.assert_array_equal(values("increase_in_confidence", planted(-0.09)[2], -0.09), 1)
    model, images, _ = planted()
    patch = np.zeros((4, 12, 12))
    patch[:, ROWS, COLUMNS] = 1
    whole, empty = model.predict(images, verbose=0)[:, 1], model.predict(0 * images, verbose=0)[:, 1]
    np.testing.assert_allclose(values("average_drop", patch), 0, atol=1e-6)
    np.testing.assert_allclose(values("average_drop", 1 - patch), (whole - empty) / whole, rtol=1e-4)
    first = METRICS["deletion"](model, images, of(patch, np.ones(4, int)), steps=9)  # the patch goes in the first step
    last = METRICS["deletion"](model, images, of(1 - patch, np.ones(4, int)), steps=9)  # and in the last
    np.testing.assert_allclose(first, empty + (whole - empty) / 18, rtol=1e-4)
    np.testing.assert_allclose(last, whole - (whole - empty) / 18, rtol=1e-4)
