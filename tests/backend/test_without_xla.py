"""Operations that XLA lacks or that have no gradient: a plain graph with a warning, or an error with an advice."""

import warnings

import keras
import numpy as np
import pytest
from helpers import randomised
from keras import layers, ops

import keras_actmaps as kam

BACKEND = keras.backend.backend()


def on_the_host(x):
    """2 x by NumPy."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        doubled = tf.numpy_function(lambda values: values * np.float32(2), [x], tf.float32)
        doubled.set_shape(x.shape)
        return doubled
    if BACKEND == "jax":
        import jax

        return jax.pure_callback(lambda values: np.asarray(values) * 2, jax.ShapeDtypeStruct(x.shape, x.dtype), x)
    return ops.convert_to_tensor(2 * ops.convert_to_numpy(x))


def network(layer):
    inputs = keras.Input((8, 8, 2))
    x = layer(layers.Conv2D(3, 3, activation="relu", name="conv")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="logits")(layers.GlobalAveragePooling2D()(x)))
    return randomised(model)


def images():
    return np.random.default_rng(0).random((2, 8, 8, 2)).astype("float32")


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only TensorFlow has both compilers")
@pytest.mark.parametrize(
    ("interpolation", "method", "operation"),
    [("bicubic", "saliency", "ResizeBicubic"), ("lanczos3", "hirescam", "ScaleAndTranslate")],
)
def test_what_xla_lacks_runs_as_a_plain_graph(interpolation, method, operation):
    model = network(layers.Resizing(9, 9, interpolation=interpolation))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = kam.explain(model, images(), method, targets=1, layer="conv")
    with pytest.warns(UserWarning, match=f"XLA lacks {operation} of the model; run without XLA"):
        e = kam.explain(model, images(), method, targets=1, layer="conv", xla=True)
    np.testing.assert_allclose(e.maps, expected.maps, rtol=1e-5, atol=1e-7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # known from then on
        again = kam.explain(model, images(), method, targets=1, layer="conv", xla=True)
    np.testing.assert_array_equal(again.maps, e.maps)


def test_a_function_on_the_host_has_no_gradient_and_the_advice_works():
    model = network(layers.Lambda(on_the_host, output_shape=lambda shape: shape, name="host"))
    with pytest.raises(
        ValueError, match="does not depend on the input through operations that have a gradient; occlusion and rise"
    ):
        kam.explain(model, images(), "saliency", targets=1)
    double = network(layers.Rescaling(2.0))
    for method, settings in (("occlusion", {"patch": 4}), ("rise", {"samples": 8, "cells": 2})):
        e, expected = (kam.explain(one, images(), method, targets=1, **settings) for one in (model, double))
        np.testing.assert_allclose(e.scores, expected.scores, rtol=1e-5)
        np.testing.assert_allclose(e.maps, expected.maps, atol=1e-6)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the other frameworks have no area resizing")
def test_an_operation_without_a_gradient_is_an_error():
    model = network(layers.Resizing(9, 9, interpolation="area"))
    for method in ("saliency", "gradient_x_input"):
        with pytest.raises(ValueError, match="through operations that have a gradient"):
            kam.explain(model, images(), method, targets=1)
