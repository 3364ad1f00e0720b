"""A small vision transformer, trained from scratch in the teaching experiments (Dosovitskiy et al. 2021)."""

from typing import Any

import keras
from keras import layers, ops

from keras_actmaps.models.teaching import Shape

DROPOUT = 0.1


@keras.saving.register_keras_serializable("keras_actmaps")
class ClassToken(layers.Layer):
    """Patches (N, h, w, D) as tokens (N, 1 + h w, D): a learned token first, and learned positions added to all."""

    def build(self, input_shape: tuple) -> None:
        _, height, width, size = input_shape
        self.token = self.add_weight(shape=(1, 1, size), initializer="zeros", name="token")
        initializer = keras.initializers.TruncatedNormal(stddev=0.02)
        self.positions = self.add_weight(shape=(1, 1 + height * width, size), initializer=initializer, name="positions")

    def call(self, patches: Any) -> Any:
        tokens = ops.reshape(patches, (-1, self.positions.shape[1] - 1, patches.shape[-1]))
        first = ops.zeros_like(tokens[:, :1]) + self.token
        return ops.concatenate([first, tokens], axis=1) + self.positions


def vit(
    image_shape: Shape = (56, 56, 1),
    classes: int = 10,
    patch: int = 8,
    width: int = 64,
    depth: int = 4,
    heads: int = 4,
) -> keras.Model:
    """A vision transformer with a class token, normalization before each branch, and linear `logits` on the token.

    Parameters
    ----------
    image_shape : tuple
        (H, W, C); sides that are no multiple of `patch` are cut.
    classes : int
    patch : int
        Side of a patch in pixels.
    width, depth, heads : int
        Size of a token, number of blocks, and heads of each attention.
    """
    images = keras.Input(image_shape, name="images")
    x = ClassToken(name="tokens")(layers.Conv2D(width, patch, strides=patch, name="patches")(images))
    for number in range(1, depth + 1):
        x = _block(x, width, heads, f"block{number}")
    x = layers.LayerNormalization(name="norm")(x)
    return keras.Model(images, layers.Dense(classes, name="logits")(x[:, 0]), name="vit")


def _block(x: Any, width: int, heads: int, name: str) -> Any:
    """Attention and a network of two layers, each with a residual."""
    normalized = layers.LayerNormalization(name=f"{name}_norm1")(x)
    attention = layers.MultiHeadAttention(heads, width // heads, dropout=DROPOUT, name=f"{name}_attention")
    x = layers.Add(name=f"{name}_add1")([x, attention(normalized, normalized)])
    normalized = layers.LayerNormalization(name=f"{name}_norm2")(x)
    hidden = layers.Dense(2 * width, "gelu", name=f"{name}_dense1")(normalized)
    return layers.Add(name=f"{name}_add2")([x, layers.Dense(width, name=f"{name}_dense2")(hidden)])
