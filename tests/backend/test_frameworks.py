"""All methods give the same maps on TensorFlow, JAX and PyTorch."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import FOR_CONVNETS, randomised
from keras import layers

HERE = Path(__file__).parent
INSTALLED = [name for name in ("tensorflow", "jax", "torch") if importlib.util.find_spec(name)]


def network() -> keras.Model:
    """Convolutions, batch normalization, pooling, a residual, a gate, and activations as layers and as arguments."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((20, 16, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    x = layers.BatchNormalization()(layers.MaxPooling2D()(x))
    branch = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", use_bias=False)(x)))
    x = layers.Add()([x, layers.DepthwiseConv2D(3, padding="same")(branch)])
    gate = layers.Dense(8, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.LeakyReLU(0.1)(layers.Multiply()([x, gate]))
    x = layers.Conv2D(12, 3, strides=2, padding="same", activation="relu", name="features")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return randomised(keras.Model(inputs, layers.Dense(5, activation="softmax")(x)), seed=6)


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """{framework: {method: maps}} of one saved network; each framework runs in its own process."""
    if len(INSTALLED) < 2:
        pytest.skip(f"of TensorFlow, JAX and PyTorch only {', '.join(INSTALLED)} is installed")
    folder = tmp_path_factory.mktemp("backends")
    network().save(folder / "model.keras")
    np.save(folder / "images.npy", np.random.default_rng(1).random((3, 20, 16, 3), "float32"))
    found = {}
    for backend in INSTALLED:
        command = [sys.executable, HERE / "maps.py", folder / "model.keras", folder / "images.npy", folder / "maps.npz"]
        path = os.pathsep.join(map(str, (HERE.parents[1], HERE.parent)))
        environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": path}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        found[backend] = dict(np.load(folder / "maps.npz"))
    return found


@pytest.mark.parametrize("name", ["scores", *FOR_CONVNETS])
def test_all_frameworks_give_the_same_maps(maps, name):
    first, *others = (found[name] for found in maps.values())
    assert np.ptp(first) > 0
    for other in others:
        assert np.abs(other - first).max() <= 1e-4 * np.abs(first).max()
