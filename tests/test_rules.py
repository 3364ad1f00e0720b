"""The rules of LRP as explicit matrix algebra, LRP-0 as gradient x input, and graphs with batch normalisation folded."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import randomised
from keras import layers, ops

import keras_actmaps as kam
from keras_actmaps import rewire
from keras_actmaps.rules.linear import linearised

SHAPE = (6, 5, 2)
LOW, HIGH = -1.5, 2.0

BLOCKS = {  # layers that are one affine map of images (6,5,2)
    "dense": lambda: [layers.Dense(4)],
    "convolution": lambda: [layers.Conv2D(4, 3, strides=2, padding="same")],
    "groups": lambda: [layers.Conv2D(4, (2, 3), groups=2)],
    "dilated": lambda: [layers.Conv2D(3, 2, dilation_rate=2)],
    "depthwise": lambda: [layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)],
    "transposed": lambda: [layers.Conv2DTranspose(3, 3, strides=2)],
    "sequence": lambda: [layers.Reshape((10, 6)), layers.Conv1D(4, 3, padding="causal")],
    "volume": lambda: [layers.Reshape((3, 2, 5, 2)), layers.Conv3D(3, 2)],
    "padded": lambda: [layers.ZeroPadding2D(((1, 0), (2, 1))), layers.Conv2D(3, 3)],
    "normalised": lambda: [layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization()],
    "normalised depthwise": lambda: [layers.DepthwiseConv2D(3, depth_multiplier=2), layers.BatchNormalization()],
    "normalised transposed": lambda: [layers.Conv2DTranspose(3, 2), layers.BatchNormalization(scale=False)],
    "normalised dense": lambda: [layers.Dense(4), layers.BatchNormalization(center=False)],
    "normalised before": lambda: [layers.BatchNormalization(), layers.Conv2D(4, 3, padding="same")],
    "normalised, padded": lambda: [layers.BatchNormalization(), layers.ZeroPadding2D(1), layers.Conv2D(4, 3)],
    "normalised before transposed": lambda: [layers.BatchNormalization(), layers.Conv2DTranspose(3, 2)],
}
RULES = ("0", "epsilon", "gamma", "alpha-beta", "z+", "flat", "w^2", "zB")


def network(block):
    """block -> ReLU -> convolution -> ReLU -> flatten -> dense, with random weights, and images of either sign."""
    given = block()
    inputs = keras.Input(SHAPE)
    x = inputs
    for layer in given:
        x = layer(x)
    x = layers.ReLU()(x)
    x = layers.Dense(3, activation="relu", name="middle")(x)
    outputs = layers.Dense(3, name="logits")(layers.Flatten(name="flat")(x))
    model = randomised(keras.Model(inputs, outputs))
    stages = [keras.Sequential(given), model.get_layer("middle"), model.get_layer("logits")]
    return model, stages, np.random.default_rng(1).uniform(LOW + 0.1, HIGH - 0.1, (2, *SHAPE)).astype("float32")


def affine(stage, x):
    """The matrix and the bias of an affine map at inputs of the shape of x, found by asking it for unit vectors."""
    kind = rewire.with_activation(stage, None) if isinstance(stage, layers.Dense) else stage
    units = np.eye(x.size, dtype="float32").reshape(-1, *x.shape)
    bias = np.asarray(kind(np.zeros_like(units[:1])), "float64")
    return np.asarray(kind(units), "float64").reshape(x.size, -1) - bias.ravel(), bias.ravel()


def shared(contributions, bias, relevance, epsilon=0.0):
    z = contributions.sum(0) + bias
    return contributions @ (relevance / (z + np.where(z < 0, -epsilon, epsilon)))


def by_rule(rule, x, W, b, relevance, with_bias, epsilon=0.1, gamma=0.3, alpha=3.0, beta=2.0):
    """The relevance of the inputs x of an affine map, from what the papers write."""
    Z = x[:, None] * W
    connected = np.abs(W) > 1e-6
    b = b if with_bias else 0 * b
    plus, minus = np.maximum, np.minimum
    if rule in ("0", "epsilon"):
        return shared(Z, b, relevance, epsilon if rule == "epsilon" else 0)
    if rule == "gamma":
        speaks_for = shared(Z + gamma * plus(Z, 0), b + gamma * plus(b, 0), relevance * (Z.sum(0) + b > 0))
        return speaks_for + shared(Z + gamma * minus(Z, 0), b + gamma * minus(b, 0), relevance * (Z.sum(0) + b < 0))
    if rule == "z+":
        return shared(plus(Z, 0), plus(b, 0), relevance)
    if rule == "alpha-beta":
        return alpha * shared(plus(Z, 0), plus(b, 0), relevance) - beta * shared(minus(Z, 0), minus(b, 0), relevance)
    if rule == "flat":
        return shared(1.0 * connected, 0, relevance)
    if rule == "w^2":
        return shared(W**2, b**2, relevance)
    low, high = (LOW, HIGH) if with_bias is None else with_bias
    return shared(Z - low * plus(W, 0) - high * minus(W, 0), 0, relevance)
