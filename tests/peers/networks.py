"""Four small networks with fixed weights and images, in Keras; peer_torch_networks.py has them in PyTorch.

- `pooled`: images in 0..1 (12, 8, 3); conv, ReLU, max pooling, conv, ReLU, global average pooling, dense, softmax. The
  ReLUs are `activation=` attributes.
- `residual`: signed images (8, 6, 2); conv, batch normalization, ReLU, conv and batch normalization, added to the
  output of the first ReLU, ReLU, average pooling, flatten, dense. The ReLUs are layers.
- `mixed`: signed images (9, 7, 3); conv with strides, leaky ReLU, then a depthwise conv with ReLU6 beside a 1x1 conv
  with ReLU, concatenated; zero padding, max pooling, flatten, dense, ReLU, dropout, dense.
- `table`: rows of 6 signed numbers; three dense layers with ReLU between.
"""

import keras
import numpy as np
from keras import layers

TARGETS = {"pooled": [1, 2], "residual": [1, 2], "mixed": [0, 2], "table": [1, 0]}
NETWORKS = tuple(TARGETS)
PICTURES = ("pooled", "residual")
SHAPES = {"pooled": (12, 8, 3), "residual": (8, 6, 2), "mixed": (9, 7, 3), "table": (6,)}
LAYER = {"pooled": "convolution_2", "residual": "relu_2"}  # the last spatial layer, with its ReLU


def images(name: str) -> np.ndarray:
    """Two inputs, float32, channels last."""
    numbers = np.random.default_rng(NETWORKS.index(name)).uniform(0, 1, (2, *SHAPES[name]))
    return (numbers if name == "pooled" else 2 * numbers - 1).astype("float32")


def baseline(name: str) -> np.ndarray:
    """One input to compare with, float32."""
    return np.random.default_rng(20 + NETWORKS.index(name)).uniform(0, 1, SHAPES[name]).astype("float32")


def baselines(name: str) -> np.ndarray:
    """Three inputs to compare with, float32: black, one in the middle, and `baseline`."""
    return np.stack([share * baseline(name) for share in np.float32([0, 0.5, 1])])


def weights(name: str) -> dict[str, list[np.ndarray]]:
    """Layer -> its weights, float32, in Keras' order and layout; biases and statistics are neither 0 nor 1."""
    random = np.random.default_rng(10 + NETWORKS.index(name))

    def linear(*shape, scale=1.0):
        kernel = random.normal(0, scale * np.sqrt(2 / np.prod(shape[:-1])), shape)
        return [kernel.astype("float32"), random.normal(0, 0.2, shape[-1]).astype("float32")]

    def statistics(channels):  # gamma, beta, mean, variance
        bounds = [(0.5, 2), (-1, 1), (-0.5, 0.5), (0.5, 2)]
        return [random.uniform(low, high, channels).astype("float32") for low, high in bounds]

    if name == "pooled":  # the head is large, so that the gradients at the last convolution are of the order of 1
        return {
            "convolution_1": linear(3, 3, 3, 6, scale=3.0),
            "convolution_2": linear(3, 3, 6, 8),
            "dense": linear(8, 4, scale=48.0),
        }
    if name == "residual":
        return {
            "convolution_1": linear(3, 3, 2, 5),
            "normalization_1": statistics(5),
            "convolution_2": linear(3, 3, 5, 5),
            "normalization_2": statistics(5),
            "dense": linear(4 * 3 * 5, 3, scale=8.0),
        }
    if name == "mixed":
        kernel, _ = linear(3, 3, 6, 1, scale=8.0)  # large enough for ReLU6 to saturate at some positions
        return {
            "convolution_1": linear(3, 3, 3, 6, scale=2.0),
            "depthwise": [kernel, linear(6)[1]],
            "convolution_2": linear(1, 1, 6, 4),
            "dense_1": linear(3 * 2 * 10, 5),
            "dense_2": linear(5, 3),
        }
    return {"dense_1": linear(6, 8), "dense_2": linear(8, 5), "dense_3": linear(5, 3)}


def keras_model(name: str, linear: bool = False) -> keras.Model:
    """The network; `linear` is without the softmax of `pooled`."""
    inputs = keras.Input(SHAPES[name])
    model = keras.Model(
        inputs, {"pooled": _pooled, "residual": _residual, "mixed": _mixed, "table": _table}[name](inputs)
    )
    for layer, arrays in weights(name).items():
        model.get_layer(layer).set_weights(arrays)
    if name == "pooled" and not linear:
        model = keras.Model(inputs, layers.Softmax()(model.outputs[0]))
    return model


def _pooled(x):
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="convolution_1")(x)
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="convolution_2")(layers.MaxPooling2D(2)(x))
    return layers.Dense(4, name="dense")(layers.GlobalAveragePooling2D()(x))


def _residual(x):
    x = layers.BatchNormalization(name="normalization_1")(layers.Conv2D(5, 3, padding="same", name="convolution_1")(x))
    first = layers.ReLU(name="relu_1")(x)
    x = layers.Conv2D(5, 3, padding="same", name="convolution_2")(first)
    x = layers.Add()([first, layers.BatchNormalization(name="normalization_2")(x)])
    x = layers.AveragePooling2D(2)(layers.ReLU(name="relu_2")(x))
    return layers.Dense(3, name="dense")(layers.Flatten()(x))


def _mixed(x):
    x = layers.LeakyReLU(negative_slope=0.1)(layers.Conv2D(6, 3, strides=2, name="convolution_1")(x))
    deep = layers.ReLU(max_value=6.0)(layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x))
    flat = layers.Conv2D(4, 1, activation="relu", name="convolution_2")(x)
    x = layers.ZeroPadding2D(1)(layers.Concatenate()([deep, flat]))
    x = layers.Dense(5, activation="relu", name="dense_1")(layers.Flatten()(layers.MaxPooling2D(2)(x)))
    return layers.Dense(3, name="dense_2")(layers.Dropout(0.5)(x))


def _table(x):
    x = layers.Dense(5, activation="relu", name="dense_2")(layers.Dense(8, activation="relu", name="dense_1")(x))
    return layers.Dense(3, name="dense_3")(x)
