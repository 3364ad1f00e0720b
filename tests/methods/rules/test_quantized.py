"""Quantized layers have the scores of the model, and the maps of a plain network with the dequantized kernels."""

import keras
import numpy as np
import pytest
from helpers import array, randomised
from keras import layers

import keras_actmaps as kam
from keras_actmaps.core._keras_compat import effective_kernel

STEP = {"int8": 1 / 127, "int4": 1 / 7, "float8": 1 / 16}  # coarsest rounding, relative to the largest weight
NAMES = ("embed", "heads", "out", "shared", "dense", "logits")


def network():
    """EinsumDense with one and several contracted axes, with a shared one, and Dense."""
    inputs = keras.Input((6, 8))
    x = layers.EinsumDense("abc,cd->abd", (6, 10), bias_axes="d", activation="relu", name="embed")(inputs)
    x = layers.EinsumDense("abc,cde->abde", (6, 3, 4), bias_axes="de", name="heads")(x)
    x = layers.EinsumDense("abde,def->abf", (6, 7), bias_axes="f", activation="relu", name="out")(x)
    x = layers.EinsumDense("abd,bde->abe", (6, 4), name="shared")(x)
    x = layers.Dense(9, "relu", name="dense")(layers.Flatten()(x))
    return randomised(keras.Model(inputs, layers.Dense(3, name="logits")(x)))


@pytest.mark.filterwarnings("ignore:Layer InputLayer:UserWarning", "ignore:Layer Flatten:UserWarning")
@pytest.mark.parametrize("mode", STEP)
def test_quantized_layers_are_explained_by_their_dequantized_kernels(mode):
    plain, model = network(), network()
    model.quantize(mode)
    for name in NAMES:
        kernel, before = array(effective_kernel(model.get_layer(name))), array(plain.get_layer(name).kernel)
        assert 0 < np.abs(kernel - before).max() <= STEP[mode] * np.abs(before).max()
        plain.get_layer(name).kernel.assign(kernel)
    if mode == "int8":
        dense = model.get_layer("dense")
        scaled = array(dense._kernel) / array(dense.kernel_scale)
        np.testing.assert_allclose(array(effective_kernel(dense)), scaled, rtol=1e-5)
    x = np.random.default_rng(0).normal(size=(3, 6, 8)).astype("float32")
    for method in ("lrp", "deeplift", "gradient_x_input"):
        settings = {"rule": "gamma"} if method == "lrp" else {}  # whose sums are not near 0
        e, expected = (kam.explain(one, x, method, targets=1, **settings) for one in (model, plain))
        np.testing.assert_allclose(e.scores, model.predict(x, verbose=0)[:, 1], rtol=1e-5)
        for found, wanted in zip(e.maps, expected.maps):
            assert found @ wanted > 0.97 * np.linalg.norm(found) * np.linalg.norm(wanted)
    bare = kam.explain(model, x, "lrp", targets=1, rule="gamma", bias=False)
    np.testing.assert_allclose(bare.maps.sum(1), bare.scores, rtol=1e-3)


@pytest.mark.filterwarnings("ignore:Layer InputLayer:UserWarning")
@pytest.mark.parametrize("mode", STEP)
def test_gradients_of_a_quantized_layer_are_its_dequantized_kernel(mode):
    """Of Keras' own float8 layer they are rounded to two bits of mantissa."""
    model = randomised(keras.Sequential([keras.Input((8,)), layers.Dense(5, "relu"), layers.Dense(3)]))
    model.quantize(mode)
    x = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
    first, last = (array(effective_kernel(layer)) for layer in model.layers)
    active = array(model.layers[0](x)) > 0
    assert active.any() and not active.all()
    e = kam.explain(model, x, "gradient_x_input", targets=2)
    np.testing.assert_allclose(e.scores, model.predict(x, verbose=0)[:, 2], rtol=1e-5)
    np.testing.assert_allclose(e.maps, x * ((active * last[:, 2]) @ first.T), rtol=1e-3, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Layer InputLayer:UserWarning")
def test_a_low_rank_update_of_a_quantized_layer_counts():
    model = randomised(keras.Sequential([keras.Input((8,)), layers.Dense(3, use_bias=False)]))
    model.quantize("int8")
    (dense,) = model.layers
    dense.enable_lora(2)
    dense.lora_kernel_b.assign(np.random.default_rng(1).normal(size=(2, 3)))
    update = dense.lora_alpha / dense.lora_rank * array(dense.lora_kernel_a) @ array(dense.lora_kernel_b)
    x = np.random.default_rng(0).normal(size=(2, 8)).astype("float32")
    e = kam.explain(model, x, "lrp", targets=2, rule="0")
    kernel = array(dense._kernel) / array(dense.kernel_scale) + update
    np.testing.assert_allclose(e.maps / x, np.ones((2, 1)) * kernel[:, 2], rtol=0.05, atol=0.02)


@pytest.mark.filterwarnings("ignore:Layer InputLayer:UserWarning")
@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "bfloat16", "float64"])
def test_any_dtype_has_the_map_of_float32(policy):
    models = []
    for dtype in ("float32", policy):
        inputs = keras.Input((8, 9, 2))
        x = layers.Conv2D(4, 3, activation="relu", dtype=dtype)(inputs)
        x = layers.LayerNormalization(dtype=dtype)(x)
        x = layers.GRU(3, recurrent_initializer="zeros", dtype=dtype)(layers.Reshape((6, 28), dtype=dtype)(x))
        models.append(randomised(keras.Model(inputs, layers.Dense(3, dtype=dtype)(x))))
    models[0].set_weights([np.asarray(weight, "float32") for weight in models[1].get_weights()])  # rounded
    x = np.random.default_rng(2).random((2, 8, 9, 2)).astype("float32")
    for method, settings in (("lrp", {"rule": "gamma"}), ("deeplift", {}), ("gradcam", {})):
        expected, e = (kam.explain(model, x, method, targets=1, **settings) for model in models)
        assert e.maps.dtype == np.float32
        np.testing.assert_allclose(e.maps, expected.maps, atol=1e-4 * np.abs(expected.maps).max())
