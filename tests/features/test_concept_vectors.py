"""TCAV where the gradient is known: a class that rises with one channel, falls with another, ignores the third."""

import keras
import numpy as np
import pytest
from keras import layers
from scipy.stats import t

pytest.importorskip("sklearn")

import keras_actmaps as kam
from keras_actmaps.features.concept_vectors import concept_vector


def model_of_three_channels():
    """Features are the image. The logit of class 1 is 3 mean(red) - 3 mean(green), and squares of random sums."""
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(3, 1, use_bias=False, name="features")(inputs)
    linear = layers.Dense(2, use_bias=False, name="linear")(layers.GlobalAveragePooling2D()(x))
    sums = layers.Dense(20, use_bias=False, name="sums")(layers.Flatten()(x))
    squares = layers.Dense(2, use_bias=False, name="squares")(layers.Multiply()([sums, sums]))
    model = keras.Model(inputs, layers.Add()([linear, squares]))
    random = np.random.default_rng(0)
    kernel = random.normal(size=(108, 20))
    kernel -= (
        kernel.reshape(36, 3, 20).mean(axis=0).repeat(36, axis=0).reshape(3, 36, 20).swapaxes(0, 1).reshape(108, 20)
    )
    model.get_layer("features").set_weights([np.eye(3)[None, None]])
    model.get_layer("linear").set_weights([np.array([[0, 1.0], [0, -1.0], [0, 0]])])
    model.get_layer("sums").set_weights([kernel])
    model.get_layer("squares").set_weights([np.tile([[0, 0.02]], (20, 1)) * random.choice([-1, 1], (20, 1))])
    return model


def noise(count, seed):
    return np.random.default_rng(seed).uniform(0, 0.5, (count, 6, 6, 3)).astype("float32")


def bright(channel, seed=100):
    images = noise(20, seed)
    images[..., channel] += 0.5
    return images


RANDOM = [noise(20, seed) for seed in range(12)]


def test_the_score_is_high_along_low_against_and_by_chance_without_the_concept():
    found = kam.tcav(
        model_of_three_channels(), {"up": bright(0), "down": bright(1), "none": noise(20, 99)}, RANDOM, noise(60, 50), 1
    )
    assert found["up"].scores.mean() > 0.85 and found["up"].significant
    assert found["down"].scores.mean() < 0.15 and found["down"].significant
    assert not found["none"].significant
    assert found["up"].random_scores.mean() == pytest.approx(0.5)  # each pair counts both ways


def test_random_images_are_not_significant_in_9_of_10():
    concepts = {str(seed): noise(20, 200 + seed) for seed in range(10)}
    found = kam.tcav(model_of_three_channels(), concepts, RANDOM, noise(60, 50), 1)
    assert sum(one.significant for one in found.values()) <= 1


def test_the_p_value_is_that_of_a_prediction_interval_times_the_number_of_concepts():
    found = kam.tcav(model_of_three_channels(), {"a": bright(0), "b": noise(20, 99)}, RANDOM, noise(60, 50), 1)
    for one in found.values():
        chance = one.random_scores
        distance = abs(one.scores.mean() - chance.mean()) / (chance.std(ddof=1) * np.sqrt(1 + 1 / 12))
        assert one.p_value == pytest.approx(min(1, 2 * 2 * t.sf(distance, 11)), rel=1e-6)


def test_the_vector_separates_the_two_sets():
    random = np.random.default_rng(0)
    first, second = random.normal([3, 0, 0, 0, 0], size=(40, 5)), random.normal(size=(40, 5))
    vector = concept_vector(first, second)
    assert np.linalg.norm(vector) == pytest.approx(1) and vector[0] > 0.9
    np.testing.assert_allclose(concept_vector(second, first), -vector, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"random_sets": RANDOM[:9]}, "random_sets must be at least 10 sets of images, got 9"),
        ({"concepts": {}}, "concepts must be a mapping"),
        ({"target": 2}, "class 2 does not exist"),
        ({"target": "a"}, "target must be a class, got 'a'"),
        ({"layer": "no"}, "no spatial layer 'no'"),
    ],
)
def test_what_does_not_fit_is_an_error(arguments, message):
    known = {"concepts": {"a": bright(0)}, "random_sets": RANDOM, "images": noise(3, 1), "target": 1}
    with pytest.raises(ValueError, match=message):
        kam.tcav(model_of_three_channels(), **known | arguments)
