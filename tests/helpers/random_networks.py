"""Random networks of 1 to 3 spatial dimensions, and their mirrors, whose gradient x input is LRP-0.

In a mirror each activation is x times its constant quotient, a gate and the scale of a normalization are constants, and
everything is computed in float64 where the framework has it. By the chain rule R_i = x_i dy/dx_i is then LRP-0 with
relevance passed through activations, all of it given to signals, and biases taking their share (Bach et al. 2015).
"""

import keras
import numpy as np
from keras import layers, ops

from helpers.networks import randomised

PRECISE = "float32" if keras.backend.backend() == "jax" else "float64"
ACTIVATIONS = ("relu", "leaky_relu", "elu", "silu", "gelu", "tanh", "relu6", "softplus", "selu")
CONVOLUTIONS = ("convolution", "convolution", "depthwise", "separable", "transposed", "dilated")
BLOCKS = (
    "residual",
    "branches",
    "gate",
    "excitation",
    "normalized",
    "layer_norm",
    "group_norm",
    "pool",
    "pad",
    "nested",
)


class Quotient(layers.Layer):
    """f(x) as x times the constant f(x) / x."""

    def __init__(self, activation, **settings):
        super().__init__(**settings)
        self.function = keras.activations.get(activation)

    def call(self, x):
        divisor = ops.where(x == 0, 1.0, x)
        return x * ops.stop_gradient(ops.where(x == 0, 0.0, self.function(x) / divisor))


class Held(layers.Layer):
    """signal times a gate as a constant."""

    def call(self, signal, gate):
        return signal * ops.stop_gradient(gate)


class HeldScale(layers.Layer):
    """Layer or group normalization whose scale is a constant."""

    def __init__(self, groups=None, epsilon=1e-3, **settings):
        super().__init__(**settings)
        self.groups, self.epsilon = groups, epsilon

    def build(self, shape):
        self.gamma = self.add_weight(shape=shape[-1:], name="gamma", initializer="ones")
        self.beta = self.add_weight(shape=shape[-1:], name="beta", initializer="zeros")
        super().build(shape)

    def call(self, x):
        split = (-1, *x.shape[1:-1], self.groups or 1, x.shape[-1] // (self.groups or 1))
        grouped = x if self.groups is None else ops.reshape(x, split)
        axes = -1 if self.groups is None else (*range(1, len(x.shape) - 1), -1)
        deviations = grouped - ops.mean(grouped, axis=axes, keepdims=True)
        variance = ops.mean(deviations**2, axis=axes, keepdims=True)
        scaled = deviations / ops.stop_gradient(ops.sqrt(variance + self.epsilon))
        return ops.reshape(scaled, (-1, *x.shape[1:])) * self.gamma + self.beta


class Builder:
    """Builds a network by the decisions of a seed: as Keras layers, or as their mirror."""

    def __init__(self, seed, is_mirror):
        self.random = np.random.default_rng(seed)
        self.is_mirror = is_mirror
        self.rank = int(self.random.integers(1, 4))
        self.common = {"dtype": PRECISE} if is_mirror else {}
        self.depth = 0

    def pick(self, *choices):
        return choices[self.random.integers(len(choices))]

    def layer(self, name, *arguments, **settings):
        """A layer of the network's rank: `Conv` is Conv2D for images."""
        ranked = getattr(layers, f"{name}{self.rank}D", None) or getattr(layers, name)
        common = (
            {} if name in ("AveragePooling", "MaxPooling") and self.rank == 3 else self.common
        )  # no float64 on TensorFlow
        return ranked(*arguments, **settings, **common)

    def activated(self, x, name):
        return Quotient(name, **self.common)(x) if self.is_mirror else layers.Activation(name)(x)

    def convolved(self, x):
        """A convolution of some kind with an activation of its own or as a layer."""
        kind, activation = self.pick(*CONVOLUTIONS), self.pick(*ACTIVATIONS)
        inside, bias = bool(self.pick(0, 1)), bool(self.pick(0, 1))
        filters = int(self.random.integers(2, 4)) * 2
        settings = {"use_bias": bias, "padding": self.pick("same", "valid")}
        if min(x.shape[1:-1]) < 5:
            settings["padding"] = "same"
        if kind in ("depthwise", "separable") and self.rank == 3:
            kind = "convolution"
        name = {"depthwise": "DepthwiseConv", "separable": "SeparableConv", "transposed": "Conv"}.get(kind, "Conv")
        if kind == "depthwise":
            layer = self.layer(name, 3, depth_multiplier=int(self.pick(1, 2)), **settings)
        elif kind == "transposed":
            layer = getattr(layers, f"Conv{self.rank}DTranspose")(filters, 3, **settings, **self.common)
        else:
            more = {"dilation_rate": 2} if kind == "dilated" else {"strides": int(self.pick(1, 2))}
            layer = self.layer(name, filters, 2 if kind == "dilated" else 3, **settings, **more)
        if inside and not self.is_mirror:
            layer.activation = keras.activations.get(activation)
            return layer(x)
        return self.activated(layer(x), activation)

    def block(self, x):
        return getattr(self, self.pick(*BLOCKS))(x)

    def residual(self, x):
        other = self.activated(self.layer("Conv", x.shape[-1], 3, padding="same")(x), self.pick(*ACTIVATIONS))
        return layers.Add(**self.common)([x, other])

    def branches(self, x):
        wide = self.layer("Conv", 2, 3, padding="same", use_bias=False)(x)
        kind = self.pick("MaxPooling", "AveragePooling")
        pooled = self.layer(kind, 3, strides=1, padding="same")(x)
        return layers.Concatenate(**self.common)([wide, pooled])

    def gate(self, x):
        gate = self.layer("Conv", x.shape[-1], 1, activation="sigmoid")(x)
        return self.gated(x, gate)

    def excitation(self, x):
        pooled = self.layer("GlobalAveragePooling", keepdims=True)(x)
        hidden = layers.Dense(3, activation="relu", **self.common)(pooled)
        return self.gated(x, layers.Dense(x.shape[-1], activation="sigmoid", **self.common)(hidden))

    def gated(self, signal, gate):
        return Held(**self.common)(signal, gate) if self.is_mirror else layers.Multiply()([gate, signal])

    def normalized(self, x):
        before = bool(self.pick(0, 1))
        x = layers.BatchNormalization(**self.common)(x) if before else x
        x = self.layer("Conv", 4, 3, padding="same", use_bias=False)(x)
        return x if before else self.activated(layers.BatchNormalization(**self.common)(x), "relu")

    def layer_norm(self, x):
        return HeldScale(**self.common)(x) if self.is_mirror else layers.LayerNormalization()(x)

    def group_norm(self, x):
        groups = 2 if x.shape[-1] % 2 == 0 else 1
        return HeldScale(groups, **self.common)(x) if self.is_mirror else layers.GroupNormalization(groups)(x)

    def pool(self, x):
        if min(x.shape[1:-1]) < 4:
            return x
        return self.layer(self.pick("MaxPooling", "AveragePooling"), 2)(x)

    def pad(self, x):
        return self.layer("UpSampling", 2)(x) if max(x.shape[1:-1]) < 5 else self.layer("ZeroPadding", 1)(x)

    def nested(self, x):
        if self.depth:
            return x
        self.depth += 1
        inputs = keras.Input(x.shape[1:], dtype=self.common.get("dtype"))
        model = keras.Model(inputs, self.convolved(self.block(inputs)))
        self.depth -= 1
        return model(x)

    def network(self):
        sides = [int(self.random.integers(6, 10)) for _ in range(self.rank)]
        inputs = keras.Input((*sides, int(self.random.integers(1, 4))), dtype=self.common.get("dtype"))
        x = self.convolved(inputs)
        for _ in range(int(self.random.integers(1, 4))):
            x = self.block(x)
        x = self.convolved(x)
        head = self.pick("GlobalAveragePooling", "GlobalMaxPooling", "Flatten")
        x = layers.Flatten(**self.common)(x) if head == "Flatten" else self.layer(head)(x)
        x = self.activated(layers.Dense(5, **self.common)(x), self.pick(*ACTIVATIONS))
        return keras.Model(inputs, layers.Dense(3, **self.common)(x))


def random_network(seed):
    """(network, its mirror, images (2, ...))."""
    model = randomised(Builder(seed, is_mirror=False).network(), seed)
    mirror = Builder(seed, is_mirror=True).network()
    mirror.set_weights(model.get_weights())
    images = np.random.default_rng(seed).normal(size=(2, *model.input_shape[1:])).astype("float32")
    return model, mirror, images
