"""The models of the teaching experiments.

Each is a functional Keras model with global average pooling and linear `logits`; its last spatial activation is
`features`.
"""

from collections.abc import Sequence

import keras
from keras import layers

Shape = tuple[int, int, int]


def grid_cnn(image_shape: Shape = (56, 56, 1), classes: int = 10) -> keras.Model:
    """Three convolutions (32, 64, 128; 3x3, same padding, ReLU) with pooling between them, GAP, Dense."""
    # He initialization: with one input channel, the first kernels of Keras' default are so small that training stalls.
    settings = {"padding": "same", "activation": "relu", "kernel_initializer": "he_uniform"}
    images = keras.Input(image_shape, name="images")
    x = layers.Conv2D(32, 3, **settings, name="conv1")(images)
    x = layers.MaxPooling2D(name="pool1")(x)
    x = layers.Conv2D(64, 3, **settings, name="conv2")(x)
    x = layers.MaxPooling2D(name="pool2")(x)
    x = layers.Conv2D(128, 3, **settings, name="features")(x)
    return keras.Model(images, pooled_logits(x, classes), name="grid_cnn")


def cifar_cnn(image_shape: Shape = (32, 32, 3), classes: int = 10) -> keras.Model:
    """Blocks of convolution, batch normalization and ReLU (32, 2x64, 128, 256), pooled twice, GAP, Dense."""
    return _blocks("cifar_cnn", image_shape, classes, widths=(32, 64, 128, 256), depths=(1, 2, 1, 1), pools=2)


def pets_cnn(image_shape: Shape = (128, 128, 3), classes: int = 37) -> keras.Model:
    """Four convolution blocks (32, 64, 128, 256), pooled after each of the first three, GAP, Dense."""
    return _blocks("pets_cnn", image_shape, classes, widths=(32, 64, 128, 256), depths=(1, 1, 1, 1), pools=3, stride=2)


def pooled_logits(features: keras.KerasTensor, classes: int) -> keras.KerasTensor:
    """Global average pooling and a linear layer."""
    pooled = layers.GlobalAveragePooling2D(name="pool")(features)
    return layers.Dense(classes, name="logits")(pooled)


def _blocks(
    name: str,
    image_shape: Shape,
    classes: int,
    widths: Sequence[int],
    depths: Sequence[int],
    pools: int,
    stride: int = 1,
) -> keras.Model:
    images = x = keras.Input(image_shape, name="images")
    for number, (width, depth) in enumerate(zip(widths, depths), start=1):
        for repeat in range(depth):
            suffix = f"{number}" if depth == 1 else f"{number}{'abc'[repeat]}"
            x = layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=False, name=f"conv{suffix}")(x)
            x = layers.BatchNormalization(name=f"norm{suffix}")(x)
            is_last = number == len(widths) and repeat == depth - 1
            x = layers.ReLU(name="features" if is_last else f"relu{suffix}")(x)
            stride = 1
        if number <= pools:
            x = layers.MaxPooling2D(name=f"pool{number}")(x)
    return keras.Model(images, pooled_logits(x, classes), name=name)
