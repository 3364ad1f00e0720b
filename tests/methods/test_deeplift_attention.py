"""DeepLIFT through attention: the softmax rule in NumPy, completeness, and the gradient where the change is small."""

import keras
import numpy as np
import pytest
from helpers.networks import randomised
from helpers.tensors import array
from keras import layers

import keras_actmaps as kam


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(3).normal(size=(2, 4, 6, 3)).astype("float32")


@pytest.fixture(scope="module")
def vit():
    model = randomised(kam.models.vit((4, 6, 3), 3, patch=2, width=8, depth=2, heads=2))
    for variable in model.weights:
        if "query" in variable.path or "key" in variable.path:
            variable.assign(4 * array(variable))  # attention far from uniform
    return model


def quotients(change, step, limit):
    is_small = np.abs(step) < 1e-6
    return np.where(is_small, limit, change / np.where(is_small, 1, step))


def test_the_softmax_rule_in_numpy():
    inputs = keras.Input((4, 5))
    weighted = layers.Dense(3, use_bias=False)(layers.Flatten()(layers.Softmax()(inputs)))
    model = randomised(keras.Model(inputs, weighted))
    x, x0 = np.random.default_rng(0).normal(size=(2, 1, 4, 5)).astype("float32") * 3
    x0[0, 1], x0[0, 2, :3] = x[0, 1], x[0, 2, :3]
    m = array(model.layers[-1].kernel)[:, 1].reshape(4, 5)
    a, b = x[0].astype("float64"), x0[0].astype("float64")
    log, log0 = (np.log(np.exp(part).sum(-1, keepdims=True)) for part in (a, b))
    y, y0, e, e0 = np.exp(a - log), np.exp(b - log0), np.exp(a), np.exp(b)
    g = m * quotients(y - y0, (a - log) - (b - log0), y)
    shares = quotients(log - log0, (e - e0).sum(-1, keepdims=True), 1 / e.sum(-1, keepdims=True))
    shares = shares * quotients(e - e0, a - b, e)
    expected = (g - g.sum(-1, keepdims=True) * shares) * (a - b)
    np.testing.assert_allclose(expected.sum(), (m * (y - y0)).sum(), atol=1e-9)  # the rule is complete
    found = kam.explain(model, x, "deeplift", targets=1, baseline=x0[0], channels="keep").maps[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("baseline", ["zero", 2.0])
def test_maps_of_a_transformer_sum_to_the_change_of_the_score(vit, images, baseline):
    e = kam.explain(vit, images, "deeplift", targets=1, baseline=baseline)
    start = np.full_like(images, 0.0 if baseline == "zero" else baseline)
    change = (array(vit(images)) - array(vit(start)))[:, 1]
    np.testing.assert_allclose(e.maps.sum((1, 2)), change, atol=2e-5 * np.abs(e.maps).sum((1, 2)).max())


def test_a_small_change_is_attributed_by_the_gradient(vit, images):
    images = images[:1]
    near = images + 1e-3 * np.random.default_rng(4).normal(size=images.shape).astype("float32")
    found = kam.explain(vit, images, "deeplift", targets=2, baseline=near[0], channels="keep").maps
    halfway = kam.explain(vit, (images + near) / 2, "gradient_x_input", targets=2, channels="keep").maps
    expected = halfway / ((images + near) / 2) * (images - near)
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


def test_masked_tokens_get_nothing_and_the_sum_is_complete():
    inputs = keras.Input((5, 8))
    attention = layers.MultiHeadAttention(2, 4)
    mask = np.ones((5, 5), bool)
    mask[:, 3:] = False
    x = attention(inputs, inputs, attention_mask=mask[None])
    model = randomised(keras.Model(inputs, layers.Dense(3)(layers.Lambda(lambda x: x[:, 0])(x))))
    x, x0 = np.random.default_rng(5).normal(size=(2, 2, 5, 8)).astype("float32")
    e = kam.explain(model, x, "deeplift", targets=0, baseline=x0[0])
    assert np.abs(e.maps[:, 3:]).max() == 0 and np.abs(e.maps[:, 1:3]).min() > 0
    assert np.abs(e.residual).max() < 1e-4 * np.abs(e.maps).sum(1).max()
