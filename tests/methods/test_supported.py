"""supported(): what it says is what happens, for every method on several kinds of model."""

import functools
import re

import keras
import numpy as np
import pytest
from helpers import QUICK, outside_keras, randomised
from keras import layers, ops

import keras_actmaps as kam

SETTINGS = {**QUICK, "occlusion": {"patch": 4}, "kernel_shap": {"samples": 1000, "cells": 7}}


class Outside(keras.Model):
    def __init__(self):
        super().__init__(name="outside")
        self.dense = layers.Dense(3)

    def call(self, inputs):
        return self.dense(ops.mean(outside_keras(inputs), axis=(1, 2)))


class OwnScale(layers.Layer):
    def call(self, inputs):
        return inputs * 2 + ops.sin(inputs)


def convolutional(*top, activation="relu", shape=(9, 8, 3)):
    return keras.Sequential([keras.Input(shape), layers.Conv2D(4, 3, activation=activation, name="conv"), *top])


def outside():
    model = Outside()
    model(np.zeros((1, 9, 8, 3), "float32"))
    return model


KINDS = {
    "silu": lambda: convolutional(layers.GlobalAveragePooling2D(), layers.Dense(3), activation="silu"),
    "table": lambda: keras.Sequential([keras.Input((6,)), layers.Dense(5, "relu"), layers.Dense(3)]),
    "recurrent": lambda: keras.Sequential([keras.Input((7, 2)), layers.LSTM(4), layers.Dense(3)]),
    "layer normalization": lambda: convolutional(
        layers.LayerNormalization(), layers.GlobalAveragePooling2D(), layers.Dense(3)
    ),
    "own layer": lambda: convolutional(OwnScale(name="own"), layers.GlobalAveragePooling2D(), layers.Dense(3)),
    "single sigmoid": lambda: convolutional(layers.GlobalAveragePooling2D(), layers.Dense(1, "sigmoid")),
    "segmentation": lambda: convolutional(layers.Conv2D(2, 1)),
    "not traceable": outside,
}


@functools.cache
def supported(kind):
    model = randomised(KINDS[kind]())
    return model, kam.supported(model)


@pytest.mark.filterwarnings("ignore:.*maps are all zero")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", kam.METHODS)
def test_what_it_says_is_what_happens(kind, method):
    model, support = supported(kind)
    shape = getattr(model, "input_shape", None) or (None, 9, 8, 3)
    inputs = np.random.default_rng(0).random((2, *(shape[1:] if kind != "not traceable" else (9, 8, 3))), "float32")
    if support[method] is None:
        maps = kam.explain(model, inputs, method, **SETTINGS.get(method, {})).maps
        assert maps.shape == inputs.shape[: max(inputs.ndim - 1, 2)] and np.isfinite(maps).all()
    else:
        with pytest.raises(ValueError, match=f"^{re.escape(support[method])}$"):
            kam.explain(model, inputs, method)


def test_the_table_names_every_method():
    support = supported("silu")[1]
    assert set(support) == set(kam.METHODS) and "guided_backprop" not in support.methods
    lines = str(support).splitlines()
    assert len(lines) == len(kam.METHODS) and "has none; its activations: silu" in str(support)
    assert lines[0].split(None, 1) == ["cam", "yes"]
