"""Small networks with random weights."""

import keras
import numpy as np
from keras import layers


def randomised(model: keras.Model, seed: int = 0) -> keras.Model:
    """The model with seeded weights, and with biases and batch-normalization statistics other than 0 and 1."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.name in ("bias", "beta", "moving_mean"):
            variable.assign(random.normal(0, 0.3, variable.shape))
        elif variable.name in ("gamma", "moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif "kernel" in variable.name:
            inputs = np.prod(variable.shape[:-1])
            variable.assign(random.normal(0, np.sqrt(2 / inputs), variable.shape))
    return model


def gap_network(shape=(12, 16, 3), classes=4, activation=None, softmax_layer=False) -> keras.Model:
    """Two convolutions, GAP and a linear layer, with a softmax as its activation, behind it, or not at all."""
    inputs = keras.Input(shape)
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv1")(inputs)
    x = layers.MaxPooling2D(name="pool1")(x)
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="features")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    x = layers.Dense(classes, activation=activation, name="logits")(x)
    outputs = layers.Softmax(name="softmax")(x) if softmax_layer else x
    return randomised(keras.Model(inputs, outputs, name="gap_network"))


def captum_network() -> keras.Model:
    """Captum's network of one convolution: 4x4 -> conv of ones, biases -50 and -75 -> ReLU -> 4 signed sums.

    Captum flattens channels first, so its weights (five ones, three minus ones) are reordered to channels last.
    """
    inputs = keras.Input((4, 4, 1))
    x = layers.Conv2D(2, 3, name="conv")(inputs)
    x = layers.ReLU(name="relu")(x)
    outputs = layers.Dense(4, activation="relu", name="outputs")(layers.Flatten()(x))
    model = keras.Model(inputs, outputs, name="captum")
    signs = np.array([1, 1, 1, 1, 1, -1, -1, -1], "float32").reshape(2, 4).T.ravel()
    model.get_layer("conv").set_weights([np.ones((3, 3, 1, 2)), np.array([-50, -75])])
    model.get_layer("outputs").set_weights([np.repeat(signs[:, None], 4, axis=1), np.zeros(4)])
    return model


def linear_network(shape, classes=2, seed=0) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """Scores that are sums of weights (..., classes) times pixels, and biases: the model and both."""
    model = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(classes)])
    random = np.random.default_rng(seed)
    weights, biases = random.normal(size=(*shape, classes)).astype("float32"), random.normal(size=classes)
    model.layers[-1].set_weights([weights.reshape(-1, classes), biases])
    return model, weights, biases
