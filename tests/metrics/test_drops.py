"""Average drop, average gain and increase in confidence: by hand, and against the formulas."""

import keras
import numpy as np
import pytest
from helpers import gap_network
from helpers.metrics import explanation_of, softmax
from keras import layers

from keras_actmaps.metrics import average_drop, average_gain, increase_in_confidence


def weighted_network(weights) -> keras.Model:
    model = keras.Sequential([keras.Input((len(weights),)), layers.Dense(1)])
    model.set_weights([np.float32(weights)[:, None], np.zeros(1)])
    return model


def test_values_calculated_by_hand():
    images = np.float32([[4, 3, 2, 1]])
    model = weighted_network([1, 1, 1, -2])  # 4 + 3 + 2 - 2 = 7
    cases = {
        (1, 1, 0, 0): (0.0, 0.0),  # the score stays 7
        (1, 0, 0, 0): (3 / 7, 0.0),  # 4
        (3, 3, 3, 1): (0.0, 1.0),  # 9: more than the whole
        (4, 2, 1, 0): ((7 - (4 + 1.5 + 0.5)) / 7, 0.0),  # scaled to 1, 1/2, 1/4, 0
        (5, 5, 5, 5): (1.0, 0.0),  # a constant map lets nothing through
    }
    for values, (drop, increase) in cases.items():
        np.testing.assert_allclose(average_drop(model, images, explanation_of([values])), [drop], atol=1e-6)
        np.testing.assert_array_equal(increase_in_confidence(model, images, explanation_of([values])), [increase])


@pytest.mark.parametrize("fill", ["zero", "mean"])
def test_values_equal_the_formulas(images, fill):
    """torch-cam's ClassificationMetric: probabilities, maps scaled to 0..1; its filling is black."""
    model, logits = gap_network(activation="softmax"), gap_network()
    e = explanation_of(np.random.default_rng(1).normal(size=images.shape[:3]), [0, 1, 2, 3, 0])
    drops = average_drop(model, images, e, fill=fill)
    gains = average_gain(model, images, e, fill=fill)
    increases = increase_in_confidence(model, images, e, fill=fill)
    found = []
    for image, importance, target in zip(images, e.maps, e.targets):
        seen = ((importance - importance.min()) / np.ptp(importance))[..., None]
        base = image.mean((0, 1)) if fill == "mean" else 0
        whole, part = softmax(logits.predict(np.stack([image, seen * image + (1 - seen) * base]), verbose=0))[:, target]
        found.append((max(0, whole - part) / whole, max(0, part - whole) / (1 - whole), float(part > whole)))
    np.testing.assert_allclose(drops, [drop for drop, _, _ in found], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(gains, [gain for _, gain, _ in found], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(increases, [increase for _, _, increase in found])
    assert {0.0, 1.0} == set(increases), "both cases occur"


def test_a_negative_score_is_refused():
    images = np.float32([[4, 3, 2, 1], [1, 1, 1, 9]])
    with pytest.raises(
        ValueError,
        match="image 1 has the score -15, and a share of a negative score is not defined; use score='softmax' or",
    ):
        average_drop(weighted_network([1, 1, 1, -2]), images, explanation_of(images))


def test_a_score_of_zero_gives_zero():
    images = np.zeros((1, 4), "float32")
    assert average_drop(weighted_network([1, 1, 1, -2]), images, explanation_of([[1, 2, 3, 4]])).tolist() == [0]


def test_a_gain_in_logits_is_refused():
    images = np.float32([[0.1, 0.2, 0.1, 0], [4, 3, 2, 1]])
    model = weighted_network([1, 1, 1, -2])
    with pytest.raises(
        ValueError, match=r"image 1 has the scores 7 and, masked, .* a gain is defined for probabilities"
    ):
        average_gain(model, images, explanation_of(images))
    assert np.isfinite(average_gain(model, images, explanation_of(images), score="sigmoid")).all()


def test_where_the_probability_is_1_there_is_nothing_to_gain():
    images = np.float32([[90, 90, 90, 0]])
    gains = average_gain(weighted_network([1, 1, 1, -2]), images, explanation_of([[1, 2, 3, 4]]), score="sigmoid")
    assert gains.tolist() == [0]
