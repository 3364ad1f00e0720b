"""Performance information curves: against those of their authors, and by their definition."""

import keras
import numpy as np
import pytest
from helpers.metrics import explanation_of
from keras import layers

from keras_actmaps.metrics import information_curves, pic

SHARES = (0.02, 0.05, 0.1, 0.3, 0.6)
SIDE = 24


def patch_network():
    """Class 1 is likely where the square in the middle is bright, and class 0 elsewhere."""
    weights = np.zeros((SIDE, SIDE, 3))
    weights[8:16, 8:16] = 1 / 64
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Flatten(), layers.Dense(2), layers.Softmax()])
    model.layers[1].set_weights([np.stack([0 * weights.ravel(), weights.ravel()], 1), np.array([1.6, 0])])
    return model


@pytest.fixture(scope="module")
def cases():
    """Images of noise whose middle is brighter, with values 0 to 1 in 256 levels, and maps."""
    random = np.random.default_rng(0)
    levels = random.integers(0, 120, (3, SIDE, SIDE, 3))
    levels[:, 8:16, 8:16] += 135
    levels[:, 0, 0], levels[:, 9, 9] = 0, 255
    middle = np.zeros((SIDE, SIDE))
    middle[8:16, 8:16] = 1
    maps = np.stack([middle, -middle, 0 * middle]) + 0.1 * random.random((3, SIDE, SIDE))
    return patch_network(), (levels / 255).astype("float32"), maps


@pytest.mark.parametrize("score", ["softmax", "accuracy"])
@pytest.mark.parametrize("monotonic", [True, False])
def test_values_equal_those_of_the_authors(cases, score, monotonic, monkeypatch):
    peer = pytest.importorskip("saliency.metrics.pic")
    monkeypatch.setattr(np, "trapz", np.trapezoid, raising=False)  # which NumPy 2.4 does not have
    model, images, maps = cases

    def predict(levels):
        outputs = model.predict((levels / 255).astype("float32"), verbose=0)
        return outputs[:, 1] if score == "softmax" else (outputs.argmax(1) == 1).astype("float64")

    anchors = information_curves._anchors((SIDE, SIDE), 0.02, 4)
    expected = [
        peer.compute_pic_metric(
            np.round(image * 255).astype("uint8"), values, anchors, predict, SHARES, 0.0, monotonic
        ).auc
        for image, values in zip(images, maps.astype("float32"))
    ]
    settings = {"shares": SHARES[::-1], "random_share": 0.02, "seed": 4}
    found = pic(model, images, explanation_of(maps, 1), score=score, monotonic=monotonic, **settings)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found[0] > found[2] > found[1]


def test_the_area_by_hand():
    """Of the points (0, 0), (1/4, 1/2), (1/2, 1/2), (1, 1), and where the score falls in between."""
    sizes = np.array([100.0, 150, 200, 300])
    for scores, monotonic, expected in [
        ((1, 2, 2, 3), True, 1 / 16 + 1 / 8 + 3 / 8),
        ((1, 2, 1, 3), True, 1 / 16 + 1 / 8 + 3 / 8),
        ((1, 2, 1, 3), False, 1 / 16 + 1 / 16 + 1 / 4),
        ((1, 9, 1, 3), False, 1 / 8 + 1 / 8 + 1 / 4),  # clipped
    ]:
        area = information_curves._area(sizes, np.array(scores, float), monotonic)
        assert area == pytest.approx(expected, abs=1e-5)
    assert np.isnan(information_curves._area(sizes, np.array([3.0, 2, 2, 3]), True))
    assert np.isnan(information_curves._area(sizes[::-1], np.array([1.0, 2, 2, 3]), True))


def test_an_image_of_one_color_has_no_information(cases):
    model, images, maps = cases
    plain = images.copy()
    plain[1] = 0.3
    assert np.isnan(pic(model, plain, explanation_of(maps, 1), shares=(0.1,))).tolist() == [False, True, False]


@pytest.mark.usefixtures("no_passes")
def test_what_is_no_image_or_no_class_is_refused_before_any_work(cases):
    model, images, maps = cases
    table = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"pic needs images \(N, H, W, 1\) or \(N, H, W, 3\), got inputs of shape"):
        pic(table, np.ones((2, 4), "float32"), explanation_of(np.ones((2, 4)), 1))
    with pytest.raises(ValueError, match="score='accuracy' needs classes as targets, got a function"):
        pic(model, images, explanation_of(maps, None), score="accuracy", targets=lambda outputs: outputs[:, 0])
    with pytest.raises(ValueError, match=r"shares must contain at least one fraction, got \(\)"):
        pic(model, images, explanation_of(maps, 1), shares=())
