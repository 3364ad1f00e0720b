"""Gates, masks, first layers and functions that are not elementwise in LRP and DeepLIFT; the advice of errors works."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, array, randomised
from keras import layers, ops

import keras_actmaps as kam


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def table(width=4, count=3):
    return np.random.default_rng(3).normal(size=(count, width)).astype("float32")


def model_of(outputs, inputs, seed=0):
    return randomised(keras.Model(inputs, layers.Dense(2, use_bias=False, name="logits")(outputs)), seed)


GATED = {  # a product of a signal, 3 units of x, and a gate; and the signal's factor for the gate's inputs z
    "glu": (lambda s, z: layers.Multiply()([s, layers.Activation("sigmoid")(z)]), sigmoid),
    "gate first": (lambda s, z: ops.sigmoid(z) * s, sigmoid),
    "complement": (lambda s, z: s * (1.0 - ops.sigmoid(z)), lambda z: 1 - sigmoid(z)),
    "hard": (lambda s, z: s * (layers.ReLU(6.0)(z + 3.0) * (1 / 6)), lambda z: np.clip(z + 3, 0, 6) / 6),
    "doubled": (lambda s, z: s * (2.0 * ops.hard_sigmoid(z)), lambda z: 2 * np.clip(z / 6 + 0.5, 0, 1)),
}


@pytest.mark.parametrize("form", GATED)
def test_the_signal_takes_all_relevance_of_a_gated_product(form):
    product, factor = GATED[form]
    inputs = keras.Input((4,))
    signal = layers.Dense(3, use_bias=False, name="signal")(inputs)
    model = model_of(product(signal, layers.Dense(3, name="gate")(inputs)), inputs)
    x = table()
    W, head = array(model.get_layer("signal").kernel), array(model.get_layer("logits").kernel)[:, 1]
    gates = factor(x @ array(model.get_layer("gate").kernel) + array(model.get_layer("gate").bias))
    e = kam.explain(model, x, "lrp", targets=1, rule="0")
    np.testing.assert_allclose(e.maps, x * ((gates * head) @ W.T), rtol=1e-3, atol=1e-5)


def test_a_mask_in_numbers_is_a_gate():
    inputs = keras.Input((4,))
    kept = ops.cast(ops.greater(inputs, 0.0), "float32")
    model = model_of(layers.Multiply()([kept, layers.Dense(4, use_bias=False, name="signal")(inputs)]), inputs)
    x = table()
    W, head = array(model.get_layer("signal").kernel), array(model.get_layer("logits").kernel)[:, 1]
    e = kam.explain(model, x, "lrp", targets=1, rule="0")
    np.testing.assert_allclose(e.maps, x * (((x > 0) * head) @ W.T), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", ["lrp", "deeplift"])
def test_masked_steps_of_a_sequence_get_nothing(method):
    """Masking, Dense with ReLU and the mean over the steps that are not masked."""
    inputs = keras.Input((5, 3))
    x = layers.Dense(4, activation="relu", use_bias=False, name="dense")(layers.Masking(mask_value=9.0)(inputs))
    model = model_of(layers.GlobalAveragePooling1D()(x), inputs)
    x = np.random.default_rng(1).normal(size=(2, 5, 3)).astype("float32")
    x[0, 3:], x[1, 0] = 9, 9
    W, head = array(model.get_layer("dense").kernel), array(model.get_layer("logits").kernel)[:, 1]
    kept = (x != 9).any(-1)
    active = (x @ W > 0) * kept[..., None] / kept.sum(1)[:, None, None]
    settings = {"rule": "0"} if method == "lrp" else {}
    e = kam.explain(model, x, method, targets=1, channels="keep", **settings)
    expected = x * ((active * head) @ W.T) * kept[..., None]
    np.testing.assert_allclose(e.maps, expected, atol=1e-5)
    np.testing.assert_allclose(e.residual, 0, atol=1e-5)


def framework_softmax(x):
    """The softmax of the framework itself."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.nn.softmax(x)
    if BACKEND == "jax":
        import jax

        return jax.nn.softmax(x)
    return x.softmax(-1) if hasattr(x, "softmax") else ops.softmax(x)


SOFTMAXES = {
    "softmax": lambda: layers.Dense(3, activation="softmax", name="attention"),
    "framework": lambda: layers.Dense(3, activation=framework_softmax, name="attention"),
    "layer": lambda: layers.Softmax(name="attention"),
    "lambda": lambda: layers.Activation(lambda x: ops.softmax(x), name="attention"),
    "normalized": lambda: layers.Activation(
        lambda x: x / ops.sum(ops.abs(x), axis=-1, keepdims=True), name="attention"
    ),
}


@pytest.mark.parametrize("form", SOFTMAXES)
def test_an_inner_softmax_is_no_activation_and_the_advice_works(form):
    inputs = keras.Input((3,))
    model = model_of(layers.Dense(4, activation="relu")(SOFTMAXES[form]()(inputs)), inputs)
    with pytest.raises(
        ValueError, match=r"lrp has no rule for layer 'attention.*; pass one as rules=.*'pass'"
    ) as caught:
        kam.explain(model, table(3), "lrp")
    path = str(caught.value).split("rules={'")[1].split("'")[0]
    assert np.isfinite(kam.explain(model, table(3), "lrp", rules={path: "pass"}).maps).all()
    if form in ("softmax", "layer"):  # of which DeepLIFT has an exact rule
        assert np.abs(kam.explain(model, table(3), "deeplift").residual).max() < 1e-5
    else:
        with pytest.raises(ValueError, match=r"no rule for layer 'attention.*; integrated_gradients takes any"):
            kam.explain(model, table(3), "deeplift")
    assert kam.explain(model, table(3), "integrated_gradients").maps.any()


def test_an_own_elementwise_activation_is_one():
    inputs = keras.Input((3,))
    x = layers.Dense(5, activation=lambda x: x * 0.5 + abs(x) * 0.5, use_bias=False, name="a")(inputs)
    model = model_of(x, inputs)
    plain = model_of(layers.Dense(5, activation="relu", use_bias=False, name="a")(inputs), inputs)
    plain.set_weights(model.get_weights())
    for method in ("lrp", "deeplift"):
        e, expected = (kam.explain(one, table(3), method, targets=0) for one in (model, plain))
        np.testing.assert_allclose(e.maps, expected.maps, atol=1e-5)


def by_flat(x, W, relevance):
    return np.full((len(x), W.shape[0]), 1 / W.shape[0]) * relevance.sum(1, keepdims=True)


def by_squares(x, W, relevance):
    return relevance @ (W**2 / (W**2).sum(0)).T


def by_box(x, W, relevance, low=-3.0, high=4.0):
    z = x[:, :, None] * W - low * np.maximum(W, 0) - high * np.minimum(W, 0)
    return (z / z.sum(1, keepdims=True) * relevance[:, None]).sum(-1)


@pytest.mark.parametrize(("rule", "by_hand"), [("flat", by_flat), ("w^2", by_squares), ("zB", by_box)])
def test_every_branch_from_the_input_begins_with_a_first_layer(rule, by_hand):
    """Two branches with kernels, one of them behind a permutation; a third layer that reads both is not a first one."""
    inputs = keras.Input((4,))
    one = layers.Dense(5, activation="relu", use_bias=False, name="one")(inputs)
    two = layers.Dense(5, activation="relu", use_bias=False, name="two")(ops.flip(inputs, axis=1))
    both = layers.Dense(6, activation="relu", use_bias=False, name="both")(layers.Concatenate()([one, two]))
    model = model_of(both, inputs)
    x = table()
    W = {name: array(model.get_layer(name).kernel) for name in ("one", "two", "both", "logits")}
    a, b = np.maximum(x @ W["one"], 0), np.maximum(x[:, ::-1] @ W["two"], 0)
    joined = np.concatenate([a, b], 1)
    hidden = np.maximum(joined @ W["both"], 0)
    gradient = ((hidden > 0) * W["logits"][:, 1]) @ W["both"].T
    relevance = joined * gradient
    expected = by_hand(x, W["one"], relevance[:, :5]) + by_hand(x[:, ::-1], W["two"], relevance[:, 5:])[:, ::-1]
    settings = {"low": -3.0, "high": 4.0} if rule == "zB" else {}
    e = kam.explain(model, x, "lrp", 1, rules={"one": rule, "two": rule}, rule="0", bias=True, **settings)
    np.testing.assert_allclose(e.maps, expected, rtol=1e-3, atol=1e-5)
    if rule == "flat":
        composite = kam.explain(model, x, "lrp", 1, composite="epsilon_plus_flat", epsilon=0)
        np.testing.assert_allclose(composite.maps, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", ["lrp", "deeplift"])
def test_indices_have_no_way_back_and_the_advice_works(method):
    inputs = keras.Input((6,), dtype="int32")
    model = model_of(layers.LSTM(3)(ops.one_hot(inputs, 10)), inputs)
    ids = np.array([[1, 2, 3, 0, 0, 0], [4, 5, 6, 7, 8, 9]])
    with pytest.raises(ValueError, match="which are indices or masks; occlusion and kernel_shap need none"):
        kam.explain(model, ids, method, targets=1)
    assert kam.explain(model, ids, "occlusion", targets=1).maps.any()
    assert kam.explain(model, ids, "kernel_shap", targets=1, samples=20).maps.any()


@pytest.mark.parametrize("rule", ["pass", "flat"])
def test_a_rule_that_does_not_fit_is_an_error_and_the_advice_works(rule):
    inputs = keras.Input((5, 3))
    x = layers.LSTM(4, return_sequences=True, name="lstm")(inputs)
    model = model_of(layers.Flatten()(layers.Dense(4, name="square")(x)), inputs)
    x = np.random.default_rng(1).normal(size=(2, 5, 3)).astype("float32")
    with pytest.raises(ValueError, match="'lstm'"):
        kam.explain(model, x, "lrp", targets=1, rule=rule)
    for advised in ("route", "epsilon", "0", "gamma", "z+", "alpha-beta"):
        assert np.isfinite(kam.explain(model, x, "lrp", targets=1, rules={"lstm": advised}).maps).all()
    middle = kam.explain(model, x, "lrp", targets=1, rules={"square": "pass"})
    assert middle.maps.any()
