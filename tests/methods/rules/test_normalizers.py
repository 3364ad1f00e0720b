"""LRP and DeepLIFT through layer, group, root-mean-square and unit normalization, against NumPy."""

import keras
import numpy as np
import pytest
from helpers import array
from keras import layers

import keras_actmaps as kam
from keras_actmaps.core.normalizers import normalizer

SHAPE = (3, 4, 6)
KINDS = {
    "layer": lambda: layers.LayerNormalization(epsilon=1e-2),
    "layer, all axes": lambda: layers.LayerNormalization(axis=(1, 2, 3)),
    "layer, bare": lambda: layers.LayerNormalization(center=False, scale=False),
    "group": lambda: layers.GroupNormalization(3),
    "instance": lambda: layers.GroupNormalization(-1, scale=False),
    "channels first": lambda: layers.GroupNormalization(3, axis=1),
    "rms": lambda: layers.RMSNormalization(),
    "unit": lambda: layers.UnitNormalization(axis=-1),
}
CENTERED = ("layer", "layer, all axes", "layer, bare", "group", "instance", "channels first")


def network(kind):
    inputs = keras.Input(SHAPE)
    x = KINDS[kind]()(inputs)
    model = keras.Model(inputs, layers.Dense(2, name="logits")(layers.Flatten()(x)))
    for weight in model.weights:
        random = np.random.default_rng(len(weight.path))
        weight.assign(random.normal(0.5, 0.3, weight.shape))
    return model, model.layers[1]


def images(count=2):
    return np.random.default_rng(5).normal(0.3, 1, (count, *SHAPE)).astype("float32")


def by_hand(layer, x):
    """(y, A, beta) of one image x in float64: y = A x + beta, with the scale of x as a constant."""
    groups = np.zeros((*SHAPE, 1), int)
    if isinstance(layer, layers.GroupNormalization):
        axis, channels = layer.axis % 4 - 1, SHAPE[layer.axis % 4 - 1]
        index = np.arange(channels) // (channels // layer.groups)
        groups = np.broadcast_to(index.reshape([-1 if one == axis else 1 for one in range(3)]), SHAPE)
        column = [channels if one == axis else 1 for one in range(3)]
    else:
        axes = sorted(one % 4 - 1 for one in ([layer.axis] if isinstance(layer.axis, int) else layer.axis))
        kept = [one for one in range(3) if one not in axes]
        labels = np.arange(np.prod([SHAPE[one] for one in kept], dtype=int)).reshape([SHAPE[one] for one in kept])
        groups = np.broadcast_to(np.expand_dims(labels, axes), SHAPE)
        column = [SHAPE[one] if one in axes else 1 for one in range(3)]
    same = groups.ravel()[:, None] == groups.ravel()[None]
    mean = same / same.sum(1, keepdims=True)
    size = x.size
    centered = type(layer).__name__ in ("LayerNormalization", "GroupNormalization")
    center = np.eye(size) - mean if centered else np.eye(size)
    d = center @ x.ravel().astype("float64")
    if isinstance(layer, layers.UnitNormalization):
        scale = 1 / np.sqrt(same @ d**2)
    else:
        scale = 1 / np.sqrt(mean @ d**2 + layer.epsilon)
    of = {weight.name: array(weight).astype("float64") for weight in layer.weights}
    gamma, beta = of.get("gamma", of.get("scale", np.ones(()))), of.get("beta", np.zeros(()))
    gamma, beta = (
        np.broadcast_to(part.reshape(column) if part.size > 1 else part, SHAPE).ravel() for part in (gamma, beta)
    )
    A = (gamma * scale)[:, None] * center
    return A @ x.ravel() + beta, A, beta


@pytest.mark.parametrize("kind", KINDS)
def test_the_scale_is_a_constant_in_lrp(kind):
    model, layer = network(kind)
    x = images()
    W, b = (part.astype("float64") for part in model.get_layer("logits").get_weights())
    e = kam.explain(model, x, "lrp", targets=1, rule="0", channels="keep")
    for row, found in zip(x, e.maps):
        y, A, _ = by_hand(layer, row)
        np.testing.assert_allclose(array(layer(row[None]))[0].ravel(), y, rtol=1e-3, atol=1e-4)
        score = y @ W[:, 1] + b[1]
        relevance = y * W[:, 1]  # score / score
        expected = row.ravel() * (A.T @ (relevance / y))
        np.testing.assert_allclose(found.ravel(), expected, atol=1e-4 * np.abs(expected).max())
        assert score == pytest.approx(float(model(row[None])[0, 1]), rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_deeplift_is_complete_and_symmetric(kind):
    model, _ = network(kind)
    x, start = images(), images(4)[2]
    for baseline in (start, 0.3) if kind == "unit" else (start, "zero"):
        e = kam.explain(model, x, "deeplift", targets=1, baseline=baseline, channels="keep")
        first = np.zeros_like(x) + (0 if isinstance(baseline, str) else baseline)
        difference = array(model(x))[:, 1] - array(model(first.astype("float32")))[:, 1]
        np.testing.assert_allclose(e.maps.sum((1, 2, 3)), difference, atol=2e-4)
    back = kam.explain(model, start[None], "deeplift", targets=1, baseline=x[0], channels="keep")
    forth = kam.explain(model, x[:1], "deeplift", targets=1, baseline=start, channels="keep")
    np.testing.assert_allclose(back.maps, -forth.maps, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_deeplift_is_the_gradient_for_a_small_change(kind):
    model, _ = network(kind)
    x = images(1)
    step = np.random.default_rng(8).normal(size=x.shape).astype("float32")
    gradient = kam.explain(model, x, "saliency", targets=0, channels="keep").maps
    e = kam.explain(model, x + 0.01 * step, "deeplift", targets=0, baseline=(x - 0.01 * step)[0], channels="keep")
    expected = gradient * 0.02 * step
    np.testing.assert_allclose(e.maps, expected, atol=2e-2 * np.abs(expected).max())


def test_the_scale_is_that_of_the_input():
    layer = layers.LayerNormalization()
    layer.build((None, 6))
    x = images()[0, 0]
    affine = normalizer(layer, x.shape).with_constant_scale(keras.ops.convert_to_tensor(x))
    np.testing.assert_allclose(
        array(affine(keras.ops.convert_to_tensor(2 * x))), 2 * array(layer(x)), rtol=1e-4, atol=1e-5
    )
