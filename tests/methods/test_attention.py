"""Rollout, attention relevance and LeGrad on a vision transformer that is written out in NumPy."""

import keras
import numpy as np
import pytest
from helpers import enlarged
from helpers.networks import randomised
from helpers.tensors import array
from helpers.transformer import NumpyViT
from keras import layers, ops

import keras_actmaps as kam

PATCH, GRID, TARGET = 2, (2, 3), 1


@pytest.fixture(scope="module")
def model():
    model = randomised(kam.models.vit((4, 6, 3), 3, patch=PATCH, width=8, depth=2, heads=2))
    random = np.random.default_rng(1)
    model.get_layer("tokens").set_weights([random.normal(size=(1, 1, 8)), random.normal(size=(1, 7, 8))])
    return model


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(3).normal(size=(2, 4, 6, 3)).astype("float32")


def on_grid(model, inputs, method, **settings):
    """The map of the patches, before it is resized to the image."""
    traced = kam.Probe(model)
    targets = np.full(len(inputs), TARGET, "int32")
    return array(kam.METHODS[method].function(traced, ops.convert_to_tensor(inputs), targets, **settings).values)


def differences(score, attention):
    """The gradient of scores (N,) at attention (N, heads, T, T), by central differences."""
    gradient = np.zeros_like(attention)
    for place in np.ndindex(attention.shape[1:]):
        step = np.zeros_like(attention)
        step[(slice(None), *place)] = 1e-4
        gradient[(slice(None), *place)] = (score(step) - score(-step)) / 2e-4
    return gradient


def test_the_numpy_model_has_the_logits_of_the_keras_model(model, inputs):
    np.testing.assert_allclose(NumpyViT(model, PATCH)(inputs)[0], array(model(inputs)), rtol=1e-4, atol=1e-5)


def test_rollout_is_the_product_of_the_attention_with_the_identity(model, inputs):
    _, layers_ = NumpyViT(model, PATCH)(inputs)
    rollout = np.eye(7)
    for attention in layers_:
        mixed = 0.5 * attention.mean(1) + 0.5 * np.eye(7)
        rollout = mixed / mixed.sum(-1, keepdims=True) @ rollout
    np.testing.assert_allclose(
        on_grid(model, inputs, "attention_rollout"), rollout[:, 0, 1:].reshape(-1, *GRID), atol=1e-5
    )


def test_attention_relevance_adds_the_attention_weighted_by_positive_gradients(model, inputs):
    network = NumpyViT(model, PATCH)
    _, layers_ = network(inputs)
    relevance = np.eye(7)
    for number, attention in enumerate(layers_):
        gradient = differences(
            lambda step, number=number: network(inputs, [step * (one == number) for one in range(2)])[0][:, TARGET],
            attention,
        )
        relevance = relevance + np.maximum(gradient * attention, 0).mean(1) @ relevance
    found = on_grid(model, inputs, "attention_relevance")
    np.testing.assert_allclose(found, relevance[:, 0, 1:].reshape(-1, *GRID), atol=1e-5)


def test_legrad_is_the_mean_positive_gradient_of_the_score_of_each_layer(model, inputs):
    network = NumpyViT(model, PATCH)
    x, rows = network.tokens(inputs), []
    for number in (1, 2):
        after, attention = network.block(x, number)
        gradient = differences(
            lambda step, x=x, number=number: network.head(network.block(x, number, step)[0])[:, TARGET], attention
        )
        rows.append(np.maximum(gradient, 0).mean((1, 2)))
        x = after
    np.testing.assert_allclose(on_grid(model, inputs, "legrad"), np.mean(rows, 0)[:, 1:].reshape(-1, *GRID), atol=1e-5)


def test_the_maps_of_averaged_tokens_are_the_mean_of_their_rows(inputs):
    images = keras.Input((4, 6, 3))
    x = layers.Reshape((6, 8))(layers.Conv2D(8, 2, 2)(images))
    attention = layers.MultiHeadAttention(2, 4)
    x = layers.Add()([x, attention(x, x)])
    model = randomised(keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling1D()(x))))
    tokens = model.layers[2](model.layers[1](inputs))
    _, scores = attention(tokens, tokens, return_attention_scores=True)
    expected = (array(scores).mean(1) / 2 + np.eye(6) / 2).mean(1).reshape(-1, *GRID)
    np.testing.assert_allclose(on_grid(model, inputs, "attention_rollout"), expected, atol=1e-6)


def test_the_grid_is_that_of_the_patches_and_not_square():
    model = kam.models.vit((24, 40, 1), 3, width=8, depth=1, heads=2)
    grid = kam.Probe(model).grid
    assert (grid.shape, grid.prefix, grid.pooled) == ((3, 5), 1, (0,))


def test_a_grid_and_a_prefix_can_be_set(model, inputs):
    found = on_grid(model, inputs, "attention_rollout")
    other = on_grid(model, inputs, "attention_rollout", grid=(3, 2), prefix=1)
    np.testing.assert_allclose(other.reshape(2, 6), found.reshape(2, 6), atol=1e-6)
    fewer = on_grid(model, inputs, "attention_rollout", grid=(1, 4))
    np.testing.assert_allclose(fewer.reshape(2, 4), found.reshape(2, 6)[:, 2:], atol=1e-6)


@pytest.mark.parametrize("settings", [{"grid": (2, 4)}, {"prefix": 2}, {"grid": (2, 2), "prefix": 1}, {"grid": (6,)}])
def test_a_grid_that_does_not_fit_is_an_error(model, inputs, settings):
    with pytest.raises(ValueError, match=r"a grid of .* patches .* not fit the 7 tokens of 'vit'"):
        kam.explain(model, inputs, "attention_rollout", **settings)


def test_a_probe_takes_a_grid_that_the_model_does_not_tell(inputs):
    """Patches that are cut out by hand have no convolution whose shape is the grid."""
    images = keras.Input((4, 6, 3))
    patches = ops.reshape(images, (-1, 2, 2, 3, 2, 3))
    x = layers.Dense(8)(ops.reshape(ops.transpose(patches, (0, 1, 3, 2, 4, 5)), (-1, 6, 12)))
    x = layers.Add(name="tokens")([x, layers.MultiHeadAttention(2, 4)(x, x)])
    model = randomised(keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling1D()(x))))
    tokens = array(keras.Model(images, x)(inputs))
    expected = np.maximum((tokens * array(model.layers[-1].kernel)[:, TARGET] / 6).sum(-1), 0).reshape(2, 2, 3)
    probe = kam.Probe(model, layer="tokens", grid=(2, 3), prefix=0)
    e = kam.explain(probe, inputs, "gradcam", targets=TARGET)
    np.testing.assert_allclose(e.maps, enlarged(expected, (4, 6)), atol=1e-5)
    assert kam.Probe(model, grid=(2, 3)).grid.prefix == 0
    with pytest.raises(
        ValueError, match=r"^a grid of 3 x 3 patches fits no layer of '.*'; its layers .* have 6 tokens"
    ):
        kam.Probe(model, grid=(3, 3))
    with pytest.raises(ValueError, match=r"^a grid of 1 x 5 patches and 2 tokens before it fits no layer"):
        kam.Probe(model, grid=(1, 5), prefix=2)
    with pytest.raises(ValueError, match=r"^grid must be the rows and columns of patches, such as \(14, 14\), got 6"):
        kam.Probe(model, grid=6)


@pytest.mark.parametrize("method", ["attention_rollout", "attention_relevance", "legrad"])
def test_a_model_without_attention_is_refused(method):
    model = keras.Sequential([keras.Input((4, 6, 3)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ValueError, match=f"{method} needs attention, and 'sequential.*' has no softmax"):
        kam.explain(model, np.zeros((1, 4, 6, 3)), method)


def test_changed_weights_show(model, inputs):
    traced = kam.Probe(model)
    before = kam.explain(traced, inputs, "attention_rollout").maps
    weight = model.get_layer("block1_attention").weights[0]
    old = array(weight)
    weight.assign(3 * old)
    after = kam.explain(traced, inputs, "attention_rollout").maps
    weight.assign(old)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_array_equal(kam.explain(traced, inputs, "attention_rollout").maps, before)
