"""No method runs more than batch_size images at a time, compiles again for a ragged batch, or depends on the batch."""

import functools

import keras
import numpy as np
import pytest
from helpers import FOR_CONVNETS, randomised, traced
from keras import layers

import keras_actmaps as kam

MANY = {  # more passes than fit in a batch
    "samples": 11,
    "steps": 11,
    "cells": 3,
    "patch": 4,
    "stride": 4,
}


@pytest.fixture
def recorded(monkeypatch):
    """A network, and the number of images in every batch for which a convolution of it was compiled."""
    seen = []
    monkeypatch.setattr(layers.Conv2D, "call", recording(layers.Conv2D.call, seen))
    keras.utils.set_random_seed(0)
    network = [
        keras.Input((10, 12, 3)),
        layers.Conv2D(6, 3, padding="same", activation="relu"),
        layers.Conv2D(6, 3, padding="same", activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="softmax"),
    ]
    return randomised(keras.Sequential(network)), seen


def recording(call, seen: list):
    @functools.wraps(call)
    def recorded(self, inputs, *args, **kwargs):
        seen.append(inputs.shape[0])
        return call(self, inputs, *args, **kwargs)

    return recorded


@pytest.fixture
def pictures():
    return np.random.default_rng(0).random((7, 10, 12, 3), "float32")


def settings(method: str) -> dict:
    """The settings in MANY that a method has."""
    return {name: value for name, value in MANY.items() if name in kam.METHODS[method].settings}


@pytest.mark.parametrize("method", FOR_CONVNETS)
def test_batch_size_bounds_the_images_of_a_pass(method, recorded, pictures):
    model, seen = recorded
    kam.explain(model, pictures, method, batch_size=3, **settings(method))
    sizes = {size for size in seen if size is not None}
    assert sizes and max(sizes) <= 3


@traced
@pytest.mark.parametrize("method", FOR_CONVNETS)
def test_a_ragged_last_batch_compiles_nothing(method, recorded, pictures):
    probe = kam.Probe(recorded[0])
    stream = [pictures[:3], pictures[3:6], pictures[6:]]
    traces = []
    for _ in kam.explain_dataset(probe, stream, method, batch_size=3, **settings(method)):
        traces.append(probe.traces)
    assert traces[0] > 0 and set(traces) == {traces[0]}


@pytest.mark.parametrize("method", FOR_CONVNETS)
def test_maps_do_not_depend_on_the_batch_size_or_on_other_images(method, recorded, pictures):
    model, _ = recorded
    whole = kam.explain(model, pictures, method, batch_size=64, **settings(method)).maps
    scale = np.abs(whole).max(axis=(1, 2), keepdims=True)
    assert scale.min() > 0
    for order in (np.arange(7), np.arange(7)[::-1]):
        maps = kam.explain(model, pictures[order], method, batch_size=2, **settings(method)).maps
        assert (np.abs(maps - whole[order]) <= 1e-4 * scale[order]).all()
