"""Layers with layers inside are opened, and the graph still computes what the model computes."""

import keras
import numpy as np
import pytest
from helpers.networks import randomised
from helpers.tensors import array
from keras import layers, ops

import keras_actmaps as kam

T, D = 5, 8


@keras.saving.register_keras_serializable("tests")
class Block(layers.Layer):
    """A transformer block that passes its mask on."""

    def __init__(self, **options):
        super().__init__(**options)
        self.norm, self.dense = layers.LayerNormalization(), layers.Dense(D, "gelu")
        self.mha = layers.MultiHeadAttention(2, 4, name="mha")

    def call(self, x, mask=None):
        x = x + self.mha(self.norm(x), x, attention_mask=None if mask is None else mask[:, None])
        return x + self.dense(x)


class Encoder(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.blocks = [Block(name=f"block_{number}") for number in (1, 2)]

    def call(self, x, training=False):
        for block in self.blocks:
            x = block(x)
        return x


class VariableAlone(layers.Layer):
    """A layer that uses its variable in an operation on constants, which a trace would compute at once."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(D)

    def build(self, shape):
        self.scale = self.add_weight(shape=(1, 1, D), initializer="ones", name="scale")
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x) * ops.exp(self.scale)


class Windows(layers.Layer):
    """A layer that computes with the number of its inputs, as Swin's blocks do."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(D, "tanh")

    def build(self, shape):
        self.bias = self.add_weight(shape=(2, D // 2), initializer="ones", name="bias")
        self.dense.build((None, T, D))

    def call(self, x):
        count, length, width = ops.shape(x)
        windows = ops.reshape(self.dense(x), (count * 2, length, width // 2))
        biased = ops.reshape(windows, (-1, 2, length, width // 2)) + ops.reshape(
            ops.exp(self.bias), (1, 2, 1, width // 2)
        )
        folded = ops.reshape(biased, (2 * count, length, width // 2))
        return ops.reshape(folded, (ops.shape(folded)[0] // 2, length, width))


class BatchInShape(layers.Layer):
    """A layer that reads the batch size, unknown in a trace."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(D)

    def call(self, x):
        return ops.reshape(self.dense(x), (ops.shape(x)[0], T, D))


class BakedBatch(BatchInShape):
    """A layer that fills a tensor of the batch size."""

    def call(self, x):
        return ops.concatenate([self.dense(x), ops.broadcast_to(self.dense(x[:1]), ops.shape(x))], axis=1)


def classifier(layer, *others, mask=False, policy=None):
    """Tokens (N, T, D), masked where they are zero, through layers, the mean and a linear layer."""
    inputs = x = keras.Input((T, D))
    if mask:
        x = layers.Masking()(x)
    for one in (layer, *others):
        x = one(x, x) if isinstance(one, OPENED) else one(x)
    return randomised(keras.Model(inputs, layers.Dense(3)(layers.Lambda(lambda x: ops.mean(x, axis=1))(x))))


OPENED = (layers.MultiHeadAttention, layers.GroupQueryAttention)


def series(is_masked=False):
    values = np.random.default_rng(0).normal(size=(3, T, D)).astype("float32")
    values[0, 3:] = 0 if is_masked else values[0, 3:]
    return values


def outputs_of(model, inputs):
    return array(kam.Probe(model).outputs(ops.convert_to_tensor(inputs)))


def paths_of(model):
    return [node.path for node in kam.Probe(model).graph.nodes]


def test_the_paths_name_each_enclosing_layer():
    model = classifier(Encoder(name="encoder"))
    paths = paths_of(model)
    for path in ("encoder/block_1/mha/query", "encoder/block_2/mha/softmax", "encoder/block_2/add_1"):
        assert path in paths
    np.testing.assert_allclose(outputs_of(model, series()), array(model(series())), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        layers.MultiHeadAttention(2, 4),
        layers.MultiHeadAttention(2, 4, dropout=0.3),
        layers.MultiHeadAttention(2, 4, use_bias=False),
        layers.GroupQueryAttention(4, 4, 2),
        Block(),
    ],
    ids=["MultiHeadAttention", "dropout", "no bias", "GroupQueryAttention", "Block"],
)
@pytest.mark.parametrize("is_masked", [False, True])
def test_an_opened_layer_computes_the_same(layer, is_masked):
    model = classifier(type(layer).from_config(layer.get_config()), mask=is_masked)
    inputs = series(is_masked)
    np.testing.assert_allclose(outputs_of(model, inputs), array(model(inputs)), atol=2e-6)
    if not is_masked:
        assert any(path.endswith("/softmax") or "/softmax" in path for path in paths_of(model))


def test_a_causal_mask_is_kept():
    inputs = keras.Input((T, D))
    x = layers.MultiHeadAttention(2, 4)(inputs, inputs, use_causal_mask=True)
    model = randomised(keras.Model(inputs, layers.Dense(3)(x[:, 1])))
    np.testing.assert_allclose(outputs_of(model, series()), array(model(series())), atol=2e-6)


def test_cross_attention_with_two_inputs_computes_the_same():
    inputs = keras.Input((T, D))
    x = layers.MultiHeadAttention(2, 4)(inputs[:, :2], layers.Dense(6)(inputs), key=layers.Dense(7)(inputs))
    model = randomised(keras.Model(inputs, layers.Dense(3)(x[:, 1])))
    np.testing.assert_allclose(outputs_of(model, series()), array(model(series())), atol=2e-6)


@pytest.mark.parametrize("layer", [VariableAlone, Windows, BakedBatch])
def test_a_graph_reads_variables_and_runs_at_any_batch_size_or_stays_one_step(layer):
    model = classifier(layer(name="whole"))
    probe = kam.Probe(model)
    paths = [node.path for node in probe.graph.nodes]
    assert "whole" in paths if layer is BakedBatch else "whole/exp" in paths
    for variable in model.get_layer("whole").weights:
        variable.assign(array(variable) + 0.5)
    np.testing.assert_allclose(array(probe.outputs(ops.convert_to_tensor(series()))), array(model(series())), atol=1e-5)


def test_a_reshape_to_the_batch_size_is_opened():
    model = classifier(BatchInShape(name="whole"))
    assert "whole/reshape" in paths_of(model)
    np.testing.assert_allclose(outputs_of(model, series()), array(model(series())), atol=1e-5)


def test_the_model_is_not_changed():
    model = classifier(Encoder(name="encoder"))
    before = [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in model._flatten_layers()]
    kam.Probe(model)
    assert before == [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in model._flatten_layers()]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_opened_in_float32(policy):
    reference = classifier(Encoder())
    keras.config.set_dtype_policy(policy)
    try:
        mixed = classifier(Encoder())
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(reference.get_weights())
    assert "encoder" in "".join(paths_of(mixed))
    np.testing.assert_allclose(outputs_of(mixed, series()), array(reference(series())), atol=1e-5)


def test_weights_that_change_afterwards_show():
    model = classifier(Encoder())
    probe = kam.Probe(model)
    for variable in model.weights:
        variable.assign(array(variable) * 1.2)
    np.testing.assert_allclose(array(probe.outputs(ops.convert_to_tensor(series()))), array(model(series())), atol=1e-5)
