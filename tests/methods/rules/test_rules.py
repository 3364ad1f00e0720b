"""The rules of LRP as explicit matrix algebra, LRP-0 as gradient x input, and folded batch normalization."""

import keras
import numpy as np
import pytest
from helpers import array, forbid_passes, gap_network, gradient_of, randomised
from keras import layers, ops

import keras_actmaps as kam
from keras_actmaps.core.linear import linearize
from keras_actmaps.methods.lrp import lrp

SHAPE = (6, 5, 2)
LOW, HIGH = -1.5, 2.0

BLOCKS = {  # layers that are one affine map of images (6, 5, 2)
    "dense": lambda: [layers.Dense(4)],
    "convolution": lambda: [layers.Conv2D(4, 3, strides=2, padding="same")],
    "groups": lambda: [layers.Conv2D(4, (2, 3), groups=2)],
    "dilated": lambda: [layers.Conv2D(3, 2, dilation_rate=2)],
    "depthwise": lambda: [layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)],
    "transposed": lambda: [layers.Conv2DTranspose(3, 3, strides=2)],
    "sequence": lambda: [layers.Reshape((10, 6)), layers.Conv1D(4, 3, padding="causal")],
    "volume": lambda: [layers.Reshape((3, 2, 5, 2)), layers.Conv3D(3, 2)],
    "padded": lambda: [layers.ZeroPadding2D(((1, 0), (2, 1))), layers.Conv2D(3, 3)],
    "normalized": lambda: [layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization()],
    "normalized depthwise": lambda: [layers.DepthwiseConv2D(3, depth_multiplier=2), layers.BatchNormalization()],
    "normalized transposed": lambda: [layers.Conv2DTranspose(3, 2), layers.BatchNormalization(scale=False)],
    "normalized dense": lambda: [layers.Dense(4), layers.BatchNormalization(center=False)],
    "normalized before": lambda: [layers.BatchNormalization(), layers.Conv2D(4, 3, padding="same")],
    "normalized, padded": lambda: [layers.BatchNormalization(), layers.ZeroPadding2D(1), layers.Conv2D(4, 3)],
    "normalized before transposed": lambda: [layers.BatchNormalization(), layers.Conv2DTranspose(3, 2)],
}
RULES = ("0", "epsilon", "gamma", "alpha-beta", "z+", "flat", "w^2", "zB")


def network(block):
    """The network block, ReLU, Dense with ReLU, Flatten, Dense; its affine maps without ReLU; images of either sign."""
    affine_layers = block()
    inputs = keras.Input(SHAPE)
    x = inputs
    for layer in affine_layers:
        x = layer(x)
    x = layers.Dense(3, activation="relu", name="middle")(layers.ReLU()(x))
    outputs = layers.Dense(3, name="logits")(layers.Flatten()(x))
    model = randomised(keras.Model(inputs, outputs))
    middle = layers.Dense(3)
    middle.build((None, model.get_layer("middle").kernel.shape[0]))
    middle.set_weights(model.get_layer("middle").get_weights())
    flat = keras.Sequential([layers.Flatten(), model.get_layer("logits")])
    images = np.random.default_rng(1).uniform(LOW + 0.1, HIGH - 0.1, (2, *SHAPE)).astype("float32")
    return model, [keras.Sequential([keras.Input(SHAPE), *affine_layers]), middle, flat], images


def affine(stage, x):
    """The matrix and the bias of an affine map of inputs of the shape of x, from its values at unit vectors."""
    units = np.eye(x.size, dtype="float32").reshape(-1, *x.shape)
    bias = array(stage(np.zeros_like(units[:1]))).astype("float64")
    matrix = array(stage(units)).astype("float64").reshape(x.size, -1) - bias.ravel()
    return np.where(np.abs(matrix) > 1e-6, matrix, 0), bias.ravel()  # the rest is rounding of the subtraction


def distributed(contributions, bias, relevance, epsilon=0.0):
    z = contributions.sum(0) + bias
    z = z + np.where(z < 0, -epsilon, epsilon)
    quotients = np.divide(relevance, z, out=np.zeros_like(z), where=z != 0)  # without contributions all is lost
    return contributions @ quotients


def by_rule(rule, x, W, b, relevance, with_bias=True, box=None, epsilon=0.1, gamma=0.3, alpha=3.0, beta=2.0):
    """The relevance of the inputs x of an affine map, by the equations of the papers."""
    Z, y = x[:, None] * W, x @ W + b
    plus, minus = np.maximum(Z, 0), np.minimum(Z, 0)
    b = b if with_bias else 0 * b
    if rule in ("0", "epsilon"):
        return distributed(Z, b, relevance, epsilon if rule == "epsilon" else 0)
    if rule == "gamma":
        positive = distributed(Z + gamma * plus, b + gamma * np.maximum(b, 0), relevance * (y > 0))
        return positive + distributed(Z + gamma * minus, b + gamma * np.minimum(b, 0), relevance * (y < 0))
    if rule == "z+":
        return distributed(plus, np.maximum(b, 0), relevance)
    if rule == "alpha-beta":
        return alpha * distributed(plus, np.maximum(b, 0), relevance) - beta * distributed(
            minus, np.minimum(b, 0), relevance
        )
    if rule == "flat":
        return distributed(1.0 * (W != 0), 0, relevance)
    if rule == "w^2":
        return distributed(W**2, b**2, relevance)
    low, high = box or (x.min(), x.max())
    return distributed(Z - low * np.maximum(W, 0) - high * np.minimum(W, 0), 0, relevance)


def by_hand(stages, rules, image, target, **settings):
    """The relevance of an image: ReLU behind each affine map but the last, and one rule for each map."""
    x, passed = image, []
    for stage in stages:
        W, b = affine(stage, x)
        passed.append((x.ravel().astype("float64"), W, b))
        x = np.maximum(array(stage(x[None]))[0], 0)
    relevance = np.zeros(b.size)
    relevance[target] = (passed[-1][0] @ W + b)[target]
    for rule, (x, W, b), box in reversed(list(zip(rules, passed, [(LOW, HIGH), None, None]))):
        relevance = by_rule(rule, x, W, b, relevance, box=box, **settings)
    return relevance.reshape(image.shape)


def close(found, expected, bound=2e-5):
    assert np.abs(found - expected).max() <= bound * np.abs(expected).max()


NUMBERS = {"epsilon": 0.1, "gamma": 0.3, "alpha": 3.0, "beta": 2.0, "low": LOW, "high": HIGH}


@pytest.mark.parametrize("block", BLOCKS)
def test_rules_are_matrix_algebra(block):
    model, stages, images = network(BLOCKS[block])
    traced = kam.Probe(model)
    for rule in RULES if block != "groups" else ("gamma", "flat"):  # TensorFlow is slow with groups
        for bias in (True, False):
            if not bias and rule in ("0", "epsilon"):
                continue  # their sums have either sign and may be near 0
            targets = ops.convert_to_tensor([2, 0], "int32")  # not compiled, since the cases are many
            values, _ = lrp(traced, ops.convert_to_tensor(images), targets, rule=rule, bias=bias, **NUMBERS)
            for image, target, relevance in zip(images, (2, 0), array(values)):
                close(relevance, by_hand(stages, [rule] * 3, image, target, with_bias=bias), 1e-4)


@pytest.mark.parametrize(
    ("composite", "convolution", "first", "dense"),
    [
        ("epsilon_plus", "z+", "z+", "epsilon"),
        ("epsilon_alpha2_beta1", "alpha-beta", "alpha-beta", "epsilon"),
        ("epsilon_gamma_box", "gamma", "zB", "epsilon"),
        ("epsilon_plus_flat", "z+", "flat", "epsilon"),
    ],
)
def test_composites_choose_the_rule_of_each_layer(composite, convolution, first, dense):
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, name="a")(inputs)
    x = layers.Conv2D(3, 2, name="b")(layers.ReLU()(x))
    model = randomised(keras.Model(inputs, layers.Dense(3, name="c")(layers.Flatten()(layers.ReLU()(x)))))
    stages = [model.get_layer("a"), model.get_layer("b"), keras.Sequential([layers.Flatten(), model.get_layer("c")])]
    image = np.random.default_rng(2).uniform(LOW, HIGH, (1, *SHAPE)).astype("float32")
    settings = {"composite": composite, "channels": "keep", **NUMBERS}
    found = kam.explain(model, image, "lrp", targets=1, **settings).maps[0]
    close(found, by_hand(stages, [first, convolution, dense], image[0], 1), 1e-4)
    own = kam.explain(model, image, "lrp", targets=1, rules={"b": "w^2", "Dense": "0"}, **settings).maps[0]
    close(own, by_hand(stages, [first, "w^2", "0"], image[0], 1), 1e-4)


def everything(activation="relu"):
    """A network without biases of layers that pass relevance on without a kernel: shapes, sums and maxima."""
    inputs = keras.Input((12, 12, 2))
    x = layers.Rescaling(1 / 3)(inputs)
    x = layers.ZeroPadding2D(1)(x)
    shared_layer = layers.Conv2D(4, 3, padding="same", use_bias=False, activation=activation)
    first = shared_layer(layers.Conv2D(4, 3, use_bias=False)(x))
    x = layers.BatchNormalization(center=False)(layers.SeparableConv2D(4, 3, padding="same", use_bias=False)(first))
    x = layers.Add()([first, layers.Activation(activation)(x)])
    x = shared_layer(x)  # reused
    pooled = [layers.MaxPooling2D(2)(x), layers.AveragePooling2D(2)(x)]
    x = layers.Concatenate()([*pooled, layers.UpSampling2D(2)(layers.AveragePooling2D(4)(x))[:, :6, :6]])
    x = layers.Cropping2D(1)(layers.Dropout(0.5)(layers.Permute((2, 1, 3))(x)))
    x = layers.Subtract()([x, ops.multiply(0.5, ops.transpose(x, (0, 2, 1, 3)))])
    x = layers.LeakyReLU(0.1)(layers.BatchNormalization(center=False)(x))  # no kernel before it
    x = layers.Maximum()([x, ops.negative(x)])
    wide = layers.Conv2DTranspose(6, 3, use_bias=False)(x)
    x = layers.Concatenate()([layers.GlobalMaxPooling2D()(wide), ops.mean(wide, axis=(1, 2)), ops.sum(x, axis=(1, 2))])
    model = randomised(keras.Model(inputs, layers.Dense(3, use_bias=False)(x)))
    for weight in model.weights:
        if weight.name == "moving_mean":
            weight.assign(0 * weight)
    return model


def test_lrp_0_is_gradient_times_input_without_biases():
    model = everything()
    images = np.random.default_rng(3).normal(size=(3, 12, 12, 2)).astype("float32")
    gradients = gradient_of(lambda x: model(x)[:, 1], images)
    found = kam.explain(model, images, "lrp", targets=1, rule="0", channels="keep")
    close(found.maps, images * gradients, 1e-4)
    assert np.abs(found.residual).max() <= 1e-4 * np.abs(found.scores).max()


def test_a_gate_leaves_all_relevance_to_its_signal():
    inputs = keras.Input((4, 4, 3))
    gate = layers.Dense(3, activation="sigmoid", name="gate")(layers.GlobalAveragePooling2D(keepdims=True)(inputs))
    x = layers.Multiply()([gate, inputs])
    model = randomised(keras.Model(inputs, layers.Dense(2, name="logits")(layers.GlobalAveragePooling2D()(x))))
    image = np.random.default_rng(4).random((1, 4, 4, 3), "float32")
    kernel, bias = model.get_layer("gate").get_weights()
    opened = 1 / (1 + np.exp(-(image.mean((1, 2)) @ kernel + bias)))
    expected = image * opened * model.get_layer("logits").get_weights()[0][:, 1] / 16
    close(kam.explain(model, image, "lrp", targets=1, rule="0", channels="keep").maps, expected)


def test_preprocessing_passes_relevance_through():
    image = np.random.default_rng(5).uniform(0, 255, (1, *SHAPE)).astype("float32")
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(2, 1, name="colors")(layers.Rescaling(1 / 127.5, -1)(inputs))  # as preprocessing often is
    x = layers.Conv2D(3, 3, name="first", activation="relu")(x)
    model = randomised(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x))))
    swap = np.array([[0, -0.5], [1, 0]], "float32").reshape(1, 1, 2, 2)
    model.get_layer("colors").set_weights([swap, np.array([0.3, -0.4])])
    rest = keras.Model(model.get_layer("first").input, model.output)
    prepared = (image / 127.5 - 1)[..., ::-1] * np.array([1, -0.5], "float32") + np.array([0.3, -0.4], "float32")
    low, high = np.array([-0.7, -0.9]), np.array([1.3, 0.1])  # the box of the inputs of the first layer
    for settings, inner in (
        ({}, {}),
        ({"composite": "epsilon_plus_flat"}, {}),
        ({"composite": "epsilon_gamma_box", "low": 0, "high": 255}, {"low": low, "high": high}),
    ):
        found = kam.explain(model, image, "lrp", targets=1, channels="keep", **settings).maps
        expected = kam.explain(rest, prepared, "lrp", targets=1, channels="keep", **{**settings, **inner}).maps
        close(found, expected[..., ::-1], 1e-4)


@pytest.mark.parametrize("activation", ["silu", "gelu", "relu6", "tanh", layers.LeakyReLU(0.2), layers.ReLU(2.0)])
def test_activations_pass_relevance_through(activation):
    inputs = keras.Input((4,))
    hidden = layers.Dense(5, activation=activation, name="hidden")(inputs)
    model = randomised(keras.Model(inputs, layers.Dense(2, name="logits")(hidden)))
    rows = np.random.default_rng(6).normal(size=(1, 4)).astype("float32")
    (W, b), (V, c) = (model.get_layer(name).get_weights() for name in ("hidden", "logits"))
    z = rows[0] @ W + b
    h = array(keras.activations.get(activation)(ops.convert_to_tensor(z[None])))[0]
    relevance = by_rule("0", h, V, c, np.array([0, h @ V[:, 1] + c[1]]))
    close(kam.explain(model, rows, "lrp", targets=1, rule="0").maps[0], by_rule("0", rows[0], W, b, relevance))


class Halve(keras.layers.Layer):
    def call(self, x):
        return x / 2


def test_the_error_names_a_layer_without_a_rule_and_rules_can_set_one():
    inputs = keras.Input((4,))
    x = layers.Dense(3, use_bias=False, name="hidden")(inputs)
    model = randomised(keras.Model(inputs, layers.Dense(2, use_bias=False)(Halve(name="halve")(x))))
    rows = np.random.default_rng(7).normal(size=(2, 4)).astype("float32")
    with pytest.raises(ValueError, match=r"no rule for layer 'halve' \(Halve\); pass one as rules=.'halve': 'pass'"):
        kam.explain(model, rows, "lrp")
    kernels = [layer.get_weights()[0] for layer in model.layers if layer.weights]
    expected = rows * (kernels[0] @ kernels[1] / 2)[:, 1]
    close(kam.explain(model, rows, "deeplift", targets=1, baseline=0.0).maps, expected, 1e-4)  # which finds it affine
    calls = []

    def by_hand(layer, x, y, relevance):
        calls.append((layer.name, x.shape == y.shape == relevance.shape))
        return relevance

    for rule in ("pass", "epsilon", "0", by_hand):
        found = kam.explain(model, rows, "lrp", targets=1, rule="0", rules={"halve": rule})
        close(found.maps, expected, 1e-4)
    assert calls == [("halve", True)]
    close(kam.explain(model, rows, "lrp", 1, rule="0", rules={"Halve": "route"}).maps, expected / 2)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"composite": "epsilon"}, "^composite must be 'epsilon_plus', 'epsilon_alpha2_beta1', .*, got 'epsilon'$"),
        ({"rule": "z"}, "^rule must be '0', 'epsilon', 'gamma', 'alpha-beta', .*, got 'z'$"),
        ({"rules": {"conv9": "0"}}, "no layer 'conv9'"),
        ({"rules": {"conv1": "zero"}}, "no rule 'zero' for 'conv1'; choices: 0"),
        ({"rules": {"pool1": "gamma"}}, r"rule 'gamma' needs a kernel, which 'pool1' \(MaxPooling2D\) does not have; "),
        ({"epsilon": -1}, "^epsilon must be a finite number >= 0, got -1$"),
        ({"gamma": float("inf")}, "^gamma must be a finite number >= 0, got inf$"),
        ({"alpha": 2, "beta": 2}, "alpha=2 and beta=2 must differ by 1"),
        ({"low": 1, "high": 0}, "low=1 is not below high=0"),
        ({"low": [0, 1]}, r"low of shape \(2,\)"),
        ({"channels": "mean"}, "^channels must be 'sum', 'abs_max', 'norm', 'max' or 'keep', got 'mean'$"),
    ],
)
def test_bad_settings_raise_before_any_pass(images, settings, error, monkeypatch):
    forbid_passes(monkeypatch)
    with pytest.raises(ValueError, match=error):
        kam.explain(gap_network(), images, "lrp", **settings)


def test_folding_keeps_the_outputs_and_follows_the_weights():
    for block in BLOCKS:
        model, _, images = network(BLOCKS[block])
        traced = kam.Probe(model)
        graph = linearize(traced.graph)
        types = [type(node.operation).__name__ for node in graph.nodes]
        assert "BatchNormalization" not in types and "ZeroPadding2D" not in types and types.count("Linear") == 3

        def outputs(images, graph=graph, traced=traced):
            return array(traced.run_to_outputs(graph.nodes, {graph.inputs[0]: images}))

        close(outputs(images), array(model(images)), 1e-5)
        if "normalized" in block:
            before = kam.explain(traced, images, "lrp", targets=0).maps
            for seed in (8, 9):
                randomised(model, seed)
                close(outputs(images), array(model(images)), 1e-5)
            traces = traced.traces
            after = kam.explain(traced, images, "lrp", targets=0).maps
            assert traced.traces == traces and np.abs(after - before).max() > 0.01 * np.abs(before).max()
            close(after, kam.explain(kam.Probe(model), images, "lrp", targets=0).maps, 1e-6)
