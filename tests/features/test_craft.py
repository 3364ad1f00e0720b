"""Concepts of a model whose features and score are known in closed form."""

import keras
import numpy as np
import pytest
from keras import layers

pytest.importorskip("sklearn")

import keras_actmaps as kam
from keras_actmaps.methods.sobol import replicated_design, total_indices

SIDE = 24


def model_of_colors(negative=False):
    """The features are the three colors; the logit of class 1 is 10 red + 1 green; class 0 never wins."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(3, 2, strides=2, use_bias=False, name="colors", activation=None if negative else "relu")(inputs)
    outputs = layers.Dense(2, name="logits")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    kernel = np.broadcast_to(np.eye(3) / 4, (2, 2, 3, 3)) * (-1 if negative else 1)
    model.get_layer("colors").set_weights([kernel])
    model.layers[-1].set_weights([np.array([[0, 10.0], [0, 1.0], [0, 0]]), np.array([-1.0, 0])])
    return model


def patches(count=12, seed=0):
    """Images of a red, a green and a blue square, each in one of the quarters."""
    random = np.random.default_rng(seed)
    images, corners = np.zeros((count, SIDE, SIDE, 3), "float32"), np.zeros((count, 3, 2), int)
    for image, places in zip(images, corners):
        for channel, quarter in enumerate(random.permutation(4)[:3]):
            places[channel] = top, left = 12 * (quarter // 2) + 2, 12 * (quarter % 2) + 2
            image[top : top + 8, left : left + 8, channel] = 1
    return images, corners


def test_jansens_estimate_is_right_for_ishigami():
    """sin x + 7 sin^2 y + 0.1 z^4 sin x has the total indices 0.558, 0.442 and 0.244 (Ishigami and Homma 1990)."""
    designs = 4096
    x, y, z = np.pi * (2 * replicated_design(3, designs, 0).astype("float64").T - 1)
    values = np.sin(x) + 7 * np.sin(y) ** 2 + 0.1 * z**4 * np.sin(x)
    found = total_indices(values[None], designs)[0]
    np.testing.assert_allclose(found, [0.558, 0.442, 0.244], atol=0.01)


def test_concepts_are_the_colors_and_their_importance_that_of_the_weights():
    images, corners = patches()
    found = kam.concepts(model_of_colors(), images, 1, k=3)
    assert len(found) == 3 and found.layer == "colors" and found.maps.shape == (12, 3, SIDE, SIDE)
    colors = found.directions.argmax(axis=1)
    np.testing.assert_array_equal(colors, [0, 1, 2])  # by importance
    # Of a sum of independent terms the total index is the share of the variance: 10^2, 1^2 and 0.
    np.testing.assert_allclose(found.importance, [100 / 101, 1 / 101, 0], atol=0.05)
    for number, places in enumerate(corners):
        for concept, channel in enumerate(colors):
            top, left = places[channel]
            own = found.maps[number, concept]
            assert own[top : top + 8, left : left + 8].sum() > 0.8 * own.sum()
    brightest = found.exemplars[0, 0].mean(axis=(0, 1))
    assert brightest.argmax() == 0 and brightest[0] > 0.5


def test_the_same_seed_gives_the_same_concepts():
    images, _ = patches(4)
    first, second = (kam.concepts(model_of_colors(), [(images, None)], 1, k=2, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.maps, second.maps)
    np.testing.assert_array_equal(first.importance, second.importance)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": 0}, "no image of the dataset is predicted as class 0"),
        ({"target": 5}, "class 5 does not exist"),
        ({"k": 1}, "k must be an integer >= 2"),
        ({"layer": "no"}, "no spatial layer 'no'"),
        ({"model": model_of_colors(negative=True)}, "has negative features"),
    ],
)
def test_what_does_not_fit_is_an_error(arguments, message):
    known = {"model": model_of_colors(), "dataset": patches(3)[0], "target": 1}
    if "negative" in message:
        known["target"] = 0
    with pytest.raises(ValueError, match=message):
        kam.concepts(**known | arguments)
