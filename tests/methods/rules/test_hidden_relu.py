"""ReLU in other spellings and inside custom layers: guided rules give the maps of the same network in plain layers."""

import keras
import numpy as np
import pytest
from helpers import randomised
from keras import layers, ops

import keras_actmaps as kam


class Calls(layers.Layer):
    """A custom layer that calls a function or a layer."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def compute_output_shape(self, shape):
        return shape

    def call(self, x):
        return self.function(x)


class Block(layers.Layer):
    """A custom layer with a model, a custom layer and a skip connection inside."""

    def __init__(self):
        super().__init__()
        self.model = keras.Sequential([layers.Dense(8, activation="relu"), layers.Dense(8)])
        self.relu = Calls(layers.ReLU())

    def build(self, shape):
        self.model.build(shape)

    def compute_output_shape(self, shape):
        return shape

    def call(self, x, training=False):
        return self.relu(self.model(x)) + x * (2.0 if training else 1.0)


def framework_relu():
    if keras.backend.backend() == "torch":
        import torch

        return torch.relu
    if keras.backend.backend() == "jax":
        import jax

        return jax.nn.relu
    import tensorflow

    return tensorflow.nn.relu


def as_lambda(function):
    return layers.Lambda(lambda x: function(x), output_shape=lambda shape: shape)


FUNCTIONS = {
    "ops": ops.relu,
    "activation": keras.activations.relu,
    "framework": framework_relu(),
    "layer": layers.ReLU(),
    "maximum": lambda x: ops.maximum(x, 0.0),
    "reversed": lambda x: ops.maximum(0.0, x),
    "clip": lambda x: ops.clip(x, 0.0, np.inf),
    "where": lambda x: ops.where(x > 0, x, ops.zeros_like(x)),
    "absolute": lambda x: (x + ops.abs(x)) / 2,
    "lambda": lambda x: ops.relu(x) * 1,
}
PLACES = {
    "custom layer": Calls,
    "custom layer twice": lambda function: Calls(Calls(function)),
    "Lambda": as_lambda,
    "Activation": layers.Activation,
    "attribute": lambda function: layers.Dense(8, activation=function, name="hidden"),
}


def network(relu):
    inputs = keras.Input((6,))
    x = layers.Dense(8, name="hidden")(inputs) if not isinstance(relu, layers.Dense) else inputs
    x = ops.relu(layers.Dense(7)(relu(x)))
    return keras.Model(inputs, layers.Dense(3)(x))


def assert_equal_maps(model, plain, inputs):
    model.set_weights(plain.get_weights())
    for method in ("guided_backprop", "deconvnet"):
        found, expected = (kam.explain(one, inputs, method, targets=1, channels="keep").maps for one in (model, plain))
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


CASES = [(place, "framework") for place in PLACES] + [("custom layer", spelling) for spelling in FUNCTIONS]


@pytest.mark.parametrize(("place", "spelling"), CASES)
def test_a_relu_in_another_spelling_is_replaced(place, spelling):
    model, plain = network(PLACES[place](FUNCTIONS[spelling])), randomised(network(layers.ReLU()))
    assert_equal_maps(model, plain, np.random.default_rng(2).normal(size=(4, 6)).astype("float32"))


def plain_block(x):
    return layers.ReLU()(layers.Dense(8)(layers.Dense(8, activation="relu")(x))) + x


@pytest.mark.parametrize("over_time", [False, True])
def test_a_relu_deep_inside_a_custom_layer_is_replaced(over_time):
    """Also under TimeDistributed, for which the plain network reads the steps as one more axis of positions."""
    networks = []
    for block in (Block(), plain_block):
        inputs = keras.Input((5, 6))
        x = layers.Dense(8)(inputs)
        x = layers.TimeDistributed(block)(x) if over_time and isinstance(block, Block) else block(x)
        networks.append(keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x))))
    randomised(networks[1])
    assert_equal_maps(*networks, np.random.default_rng(2).normal(size=(4, 5, 6)).astype("float32"))


def test_a_relu_of_a_model_under_time_distributed_is_replaced():
    frames, networks = np.random.default_rng(2).normal(size=(2, 3, 8, 8, 1)).astype("float32"), []
    inner = keras.Sequential([layers.Conv2D(3, 3), Calls(ops.relu), layers.GlobalAveragePooling2D()])
    inputs = keras.Input((3, 8, 8, 1))
    networks.append(keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.TimeDistributed(inner)(inputs)))))
    x = layers.Conv3D(3, (1, 3, 3), activation="relu")(inputs)
    x = ops.mean(x, axis=(2, 3))
    networks.append(keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x))))
    randomised(networks[0])
    weights = networks[0].get_weights()
    networks[1].set_weights([weights[0][None], *weights[1:]])
    for method in ("guided_backprop", "deconvnet"):
        found, expected = (kam.explain(one, frames, method, targets=1).maps for one in networks)
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_a_leaky_relu_in_another_spelling_keeps_its_slope():
    model, plain = network(Calls(lambda x: ops.maximum(x, 0.25 * x))), network(layers.LeakyReLU(negative_slope=0.25))
    assert_equal_maps(model, randomised(plain), np.random.default_rng(2).normal(size=(4, 6)).astype("float32"))


def test_tracing_a_custom_layer_does_not_grow_with_each_call():
    block, inputs = Block(), keras.Input((8,))
    model = randomised(keras.Model(inputs, layers.Dense(2)(block(inputs))))
    rows = np.ones((1, 8), "float32")
    kam.explain(model, rows, "guided_backprop")
    before = len(block.model.layers[0]._inbound_nodes)
    kam.explain(model, rows, "deconvnet")
    kam.explain(model, rows, "guided_backprop", targets=1)
    assert len(block.model.layers[0]._inbound_nodes) == before


def through_a_slice(x):
    return ops.concatenate([x[:, :4] * ops.cast(x[:, :4] > 0, x.dtype), x[:, 4:]], axis=-1)


def mean_of(x):
    return ops.mean(x, axis=-1, keepdims=True)


SPREAD = {
    "stack": lambda x: ops.max(ops.stack([x, ops.zeros_like(x)]), axis=0),
    "sort": lambda x: ops.sort(ops.stack([ops.zeros_like(x), x], axis=-1), axis=-1)[..., 1],
    "where and zeros": lambda x: ops.where(x > ops.zeros_like(x), x, 0.0),
    "not below": lambda x: ops.where(ops.logical_not(ops.less(x, ops.zeros_like(x))), x, 0.1 * x),
    "root of the square": lambda x: (x + ops.sqrt(x * x)) / 2,
    "root of squared": lambda x: 0.5 * x + 0.5 * ops.sqrt(ops.square(x)),
    "gate": lambda x: x * ops.cast(x > 0, x.dtype),
    "sign": lambda x: x * (ops.sign(x) + 1) / 2,
    "minimum": lambda x: x - ops.minimum(x, 0.0),
    "turned": lambda x: -ops.minimum(-x, 0.0),
    "per channel": lambda x: ops.where(
        x > ops.zeros_like(x), x, x * ops.convert_to_tensor(np.linspace(0, 0.9, 8, dtype="float32"))
    ),
    "slices": through_a_slice,
    "zeros of another": lambda x: ops.maximum(ops.matmul(x, ops.eye(8)), ops.zeros_like(x)),
    "stack with zeros of another": lambda x: ops.max(ops.stack([ops.matmul(x, ops.eye(8)), ops.zeros_like(x)]), axis=0),
    "moved": lambda x: ops.transpose(ops.max(ops.stack([ops.transpose(x), 0 * ops.transpose(x)]), axis=0)),
}
OTHERS = {
    "silu": lambda x: x * ops.sigmoid(x),
    "absolute": lambda x: ops.sqrt(x * x),
    "maxout": lambda x: ops.repeat(ops.max(ops.reshape(x, (-1, 4, 2)), axis=-1), 2, axis=1),
    "residual": lambda x: x + ops.relu(x),
    "normalized": lambda x: (x - mean_of(x)) / ops.sqrt(mean_of(x * x) - mean_of(x) ** 2 + 1e-3),
    "hard tanh": lambda x: ops.minimum(ops.maximum(x, -1.0), 1.0),
    "gate of another": lambda x: ops.where(ops.matmul(x, ops.eye(8)) > 0.2, x + 1, ops.roll(x, 1, axis=-1)),
}


@pytest.mark.parametrize("spelling", SPREAD)
def test_a_relu_of_several_operations_is_refused_by_name(spelling):
    model = randomised(network(SPREAD[spelling]))
    with pytest.raises(ValueError, match=r"^guided_backprop replaces .* layer '.* together with other"):
        kam.explain(model, np.ones((1, 6), "float32"), "guided_backprop", targets=1)


@pytest.mark.parametrize("spelling", OTHERS)
def test_other_functions_of_several_operations_are_not_taken_for_a_relu(spelling):
    model = randomised(network(Calls(OTHERS[spelling], name="spelled")))
    assert np.isfinite(kam.explain(model, np.ones((1, 6), "float32"), "guided_backprop", targets=1).maps).all()
