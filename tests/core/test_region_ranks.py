"""Regions of series and volumes: the map of a network whose scores are written down by hand."""

import keras
import numpy as np
import pytest
from helpers import randomised
from keras import layers, ops

import keras_actmaps as kam

SPACES = {1: (7,), 2: (4, 5), 3: (3, 4, 5)}


def pointwise(space, classes=3):
    """logits[p, k] = sum_c x[p, c]^2 W[c, k] + b[k]: the gradient at p is 2 x W if p is in the region, else 0."""
    inputs = keras.Input((*space, 2))
    head = layers.Dense(classes, activation="softmax" if classes > 1 else "sigmoid", name="head")
    return randomised(keras.Model(inputs, head(ops.square(inputs))))


def oracle(model, inputs, number, masks):
    """Scores and attributions gradient x input by hand, (N,) and (N, *space, C)."""
    kernel, bias = (np.asarray(weight) for weight in model.get_layer("head").get_weights())
    masks = np.broadcast_to(masks, inputs.shape[:-1]).astype("float64")
    logits = (inputs.astype("float64") ** 2) @ kernel[:, number] + bias[number]
    scores = (logits * masks).reshape(len(inputs), -1).sum(axis=1)
    return scores, 2 * inputs**2 * kernel[:, number] * masks[..., None]


@pytest.mark.parametrize("per_input", [False, True])
@pytest.mark.parametrize("rank", SPACES)
def test_gradient_x_input_of_a_region_is_the_closed_form(rank, per_input):
    model, random = pointwise(SPACES[rank]), np.random.default_rng(rank)
    inputs = random.normal(size=(5, *SPACES[rank], 2)).astype("float32")
    mask = random.random((5, *SPACES[rank]) if per_input else SPACES[rank])
    scores, values = oracle(model, inputs, 1, mask)
    target = kam.targets.Region(1, mask)
    e = kam.explain(model, inputs, "gradient_x_input", targets=target, batch_size=2, channels="sum")
    np.testing.assert_allclose(e.scores, scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(e.maps, values.sum(axis=-1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", SPACES)
def test_a_predicted_region_of_any_rank_is_where_the_class_wins(rank):
    model, random = pointwise(SPACES[rank]), np.random.default_rng(rank)
    inputs = random.normal(size=(3, *SPACES[rank], 2)).astype("float32")
    won = model.predict(inputs, verbose=0).argmax(-1) == 2
    scores, values = oracle(model, inputs, 2, won)
    e = kam.explain(model, inputs, "gradient_x_input", targets=kam.targets.PredictedRegion(2), channels="sum")
    np.testing.assert_allclose(e.scores, scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(e.maps, values.sum(axis=-1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", SPACES)
def test_occlusion_of_a_region_is_the_drop_of_its_sum(rank):
    """With patches of one position the map is the position's own part of the sum, as the network is pointwise."""
    model, random = pointwise(SPACES[rank], classes=1), np.random.default_rng(rank)
    inputs = random.normal(size=(2, *SPACES[rank], 2)).astype("float32")
    mask = random.random(SPACES[rank]) < 0.5
    kernel = np.asarray(model.get_layer("head").get_weights()[0])[:, 0]
    target = kam.targets.Negative(kam.targets.Region(1, mask))
    e = kam.explain(model, inputs, "occlusion", targets=target, patch=1, stride=1, fill="zero")
    np.testing.assert_allclose(e.maps, -((inputs**2) @ kernel) * mask, rtol=1e-4, atol=1e-5)


def test_as_many_masks_as_inputs_are_one_for_each_series_and_a_square_is_one_for_all_images():
    """A mask (5, 7) is 5 series of 7 or one image of 5 x 7, as the output says."""
    random = np.random.default_rng(0)
    mask = random.random((5, 7))
    for space, count in (((7,), 5), ((5, 7), 1)):
        model, inputs = pointwise(space), random.normal(size=(count, *space, 2)).astype("float32")
        scores, _ = oracle(model, inputs, 0, mask)
        e = kam.explain(model, inputs, "saliency", targets=kam.targets.Region(0, mask))
        np.testing.assert_allclose(e.scores, scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(6,), (7, 7), (1, 6), (2, 7, 7)])
def test_a_mask_of_another_size_is_an_error(shape):
    model = pointwise((7,))
    with pytest.raises(ValueError, match=r"mask|Region has data of"):
        kam.explain(model, np.zeros((5, 7, 2)), "saliency", targets=kam.targets.Region(0, np.ones(shape)))
