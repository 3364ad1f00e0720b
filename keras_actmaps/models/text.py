"""Classifiers of token ids: the models of the teaching experiments on texts.

Padding, the id 0, is masked in all of them, so that it changes no output.
"""

from collections.abc import Callable

import keras
from keras import layers, ops


def text_gap(words: int, length: int | None = None, classes: int = 2, width: int = 32) -> keras.Model:
    """The mean of the embeddings, and a linear layer: whatever it says is a sum over the words."""
    ids, x = _embedded(words, length, width)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(ids, _logits(x, classes), name="text_gap")


def text_conv(words: int, length: int | None = None, classes: int = 2, width: int = 32) -> keras.Model:
    """A convolution over five words, the largest value of each of 64 features, and a linear layer."""
    ids, x = _embedded(words, length, width)
    is_word = ops.cast(ops.not_equal(ids, 0), "float32")[..., None]
    x = layers.Multiply(name="words")([x, is_word])  # convolutions do not take masks
    x = layers.Conv1D(64, 5, padding="same", activation="relu", name="features")(x)
    x = layers.GlobalMaxPooling1D(name="pool")(layers.Multiply(name="masked")([x, is_word]))
    return keras.Model(ids, _logits(x, classes), name="text_conv")


def text_lstm(words: int, length: int | None = None, classes: int = 2, width: int = 32) -> keras.Model:
    """A bidirectional LSTM over the words, the mean of its outputs, and a linear layer."""
    ids, x = _embedded(words, length, width)
    x = layers.Bidirectional(layers.LSTM(32, return_sequences=True), name="features")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(ids, _logits(x, classes), name="text_lstm")


def text_transformer(words: int, length: int = 256, classes: int = 2, width: int = 32) -> keras.Model:
    """Learned positions, one block of attention with four heads, the mean of the words, and a linear layer."""
    ids, x = _embedded(words, length, width)
    places = ops.cumsum(ops.ones_like(ids), axis=1) - 1
    x = layers.Add(name="placed")([x, layers.Embedding(length, width, name="positions")(places)])
    mask = ops.not_equal(ids, 0)
    attended = layers.MultiHeadAttention(4, width // 4, name="attention")(x, x, attention_mask=mask[:, None, :])
    x = layers.LayerNormalization(name="norm1")(layers.Add(name="add1")([x, attended]))
    hidden = layers.Dense(width, name="mlp2")(layers.Dense(2 * width, "relu", name="mlp1")(x))
    x = layers.LayerNormalization(name="features")(layers.Add(name="add2")([x, hidden]))
    x = layers.GlobalAveragePooling1D(name="pool")(x, mask=mask)
    return keras.Model(ids, _logits(x, classes), name="text_transformer")


TEXT_MODELS: dict[str, Callable[..., keras.Model]] = {
    "text_gap": text_gap,
    "text_conv": text_conv,
    "text_lstm": text_lstm,
    "text_transformer": text_transformer,
}


def _embedded(words: int, length: int | None, width: int) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Token ids and their embeddings."""
    ids = keras.Input((length,), dtype="int32", name="tokens")
    return ids, layers.Embedding(words, width, mask_zero=True, name="embedding")(ids)


def _logits(pooled: keras.KerasTensor, classes: int) -> keras.KerasTensor:
    return layers.Dense(classes, name="logits")(layers.Dropout(0.5, name="dropout")(pooled))
