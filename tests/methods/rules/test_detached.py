"""LRP of a vision transformer as x times the gradient of the same network written in PyTorch with detached parts."""

import functools

import keras
import numpy as np
import pytest
from helpers import randomised
from helpers.transformer import NumpyViT
from keras import layers

import keras_actmaps as kam

torch = pytest.importorskip("torch")
PATCH = 2


@functools.cache
def network():
    model = randomised(kam.models.vit((4, 6, 3), 3, patch=PATCH, width=8, depth=2, heads=2))
    random = np.random.default_rng(1)
    model.get_layer("tokens").set_weights([random.normal(size=(1, 1, 8)), random.normal(size=(1, 7, 8))])
    return model, random.normal(size=(2, 4, 6, 3)).astype("float32")


def detached_score(model, images, composite, target):
    """The score, built of parts that are constants for autograd."""
    weights = {name: list(map(torch.tensor, arrays)) for name, arrays in NumpyViT(model, PATCH).weights.items()}

    def normalize(x, gamma, beta):
        centered = x - x.mean(-1, keepdim=True)
        return centered / (x.var(-1, keepdim=True, correction=0) + 1e-3).sqrt().detach() * gamma + beta

    def product(equation, first, second, held):
        if held:
            return torch.einsum(equation, first.detach(), second)
        pairs = ((first, second.detach()), (first.detach(), second))
        return sum(torch.einsum(equation, *pair) for pair in pairs) / 2

    kernel, bias = weights["patches"]
    patches = images.reshape(len(images), 2, PATCH, 3, PATCH, 3)
    x = torch.einsum("nipjqc,pqcd->nijd", patches, kernel).reshape(len(images), 6, -1) + bias
    token, positions = weights["tokens"]
    x = torch.cat([token.expand(len(x), 1, 8), x], 1) + positions
    for name in ("block1", "block2"):
        wq, bq, wk, bk, wv, bv, wo, bo = weights[f"{name}_attention"]
        n = normalize(x, *weights[f"{name}_norm1"])
        q, k, v = (torch.einsum("ntd,dhe->nhte", n, w) + b[:, None] for w, b in ((wq, bq), (wk, bk), (wv, bv)))
        attention = (product("nhte,nhse->nhts", q, k, False) / q.shape[-1] ** 0.5).softmax(-1)
        x = x + torch.einsum("nhte,hed->ntd", product("nhts,nhse->nhte", attention, v, composite == "cp"), wo) + bo
        (w1, b1), (w2, b2) = weights[f"{name}_dense1"], weights[f"{name}_dense2"]
        h = normalize(x, *weights[f"{name}_norm2"]) @ w1 + b1
        x = x + (h * (torch.nn.functional.gelu(h) / h).detach()) @ w2 + b2
    kernel, bias = weights["logits"]
    return (normalize(x, *weights["norm"])[:, 0] @ kernel + bias)[:, target]


@pytest.mark.parametrize("composite", ["cp", "attnlrp"])
def test_the_map_is_input_times_gradient_of_the_detached_network(composite):
    model, images = network()
    x = torch.tensor(images.astype("float64"), requires_grad=True)
    score = detached_score(model, x, composite, 1)
    score.sum().backward()
    expected = (x * x.grad).detach().numpy().sum(-1)
    e = kam.explain(model, images, "lrp", targets=1, composite=composite)
    np.testing.assert_allclose(e.scores, score.detach().numpy(), rtol=1e-4)
    np.testing.assert_allclose(e.maps, expected, atol=1e-5 * np.abs(expected).max())


def test_cp_is_complete_with_the_biases():
    model, images = network()
    e = kam.explain(model, images, "lrp", composite="cp")
    assert (np.abs(e.residual) < 1e-5 * np.abs(e.scores)).all()
    assert (np.abs(e.maps.sum((1, 2)) - e.scores) > 0.01).all()  # the biases have a share


def test_cp_without_biases_sums_to_the_score():
    inputs = keras.Input((5, 6))
    x = layers.MultiHeadAttention(2, 3, use_bias=False)(*[layers.RMSNormalization()(inputs)] * 2)
    x = layers.Dense(6, "relu", use_bias=False)(layers.Add()([inputs, x]))
    x = layers.Dense(3, use_bias=False)(layers.GlobalAveragePooling1D()(x))
    model = randomised(keras.Model(inputs, x))
    e = kam.explain(model, np.random.default_rng(0).normal(size=(3, 5, 6)), "lrp", composite="cp")
    np.testing.assert_allclose(e.maps.sum(1), e.scores, rtol=1e-5)


def test_gamma_0_is_the_rule_0_and_gamma_favors_what_has_the_sign_of_the_output():
    model, images = network()
    plain, same, favored = (
        kam.explain(model, images, "lrp", targets=0, composite="attnlrp", **settings).maps
        for settings in ({}, {"rule": "gamma", "gamma": 0.0}, {"rule": "gamma", "gamma": 0.25})
    )
    np.testing.assert_allclose(same, plain, atol=1e-4 * np.abs(plain).max())
    assert np.abs(favored - plain).max() > 0.01 * np.abs(plain).max()


def test_a_step_that_is_not_affine_shows_in_the_residual():
    class Squares(layers.Layer):
        def call(self, x):
            return x[:, :, ::2] * x[:, :, 1::2] + x[:, :, :3] ** 2

    model = randomised(
        keras.Sequential([keras.Input((5, 6)), Squares(), layers.GlobalAveragePooling1D(), layers.Dense(3)])
    )
    e = kam.explain(model, np.random.default_rng(0).normal(size=(3, 5, 6)), "lrp", composite="cp")
    assert (np.abs(e.residual) > 1e-3 * np.abs(e.scores)).any()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"rules": {"norm": "pass"}}, "composite 'cp' takes no rules of single layers"),
        ({"rule": "zB"}, "rule for a composite of transformers must be one of 0, epsilon, gamma"),
    ],
)
def test_rules_that_do_not_fit_are_refused(settings, message):
    model, images = network()
    with pytest.raises(ValueError, match=message):
        kam.explain(model, images, "lrp", composite="cp", **settings)


def test_recurrent_layers_are_refused():
    model = keras.Sequential([keras.Input((5, 6)), layers.LSTM(4), layers.Dense(2)])
    with pytest.raises(ValueError, match="composite 'cp' has no rule for the recurrent layer 'lstm"):
        kam.explain(model, np.zeros((1, 5, 6)), "lrp", composite="cp")
