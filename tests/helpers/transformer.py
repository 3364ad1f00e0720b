"""The vision transformer of `kam.models.vit` written out in NumPy, on the weights of a model."""

from math import erf

import numpy as np


def normalize(x, gamma, beta):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3) * gamma + beta


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class NumpyViT:
    """Forward passes in float64; `shifts` are added to the attention of the layers."""

    def __init__(self, model, patch):
        self.weights = {
            layer.name: [np.asarray(value, "float64") for value in layer.get_weights()] for layer in model.layers
        }
        self.of = self.weights.__getitem__
        self.patch = patch
        self.depth = sum("_attention" in layer.name for layer in model.layers)

    def tokens(self, images):
        kernel, bias = self.of("patches")
        p, (h, w) = self.patch, (side // self.patch for side in images.shape[1:3])
        patches = images.reshape(len(images), h, p, w, p, -1)
        x = np.einsum("nipjqc,pqcd->nijd", patches, kernel).reshape(len(images), h * w, -1) + bias
        token, positions = self.of("tokens")
        return np.concatenate([np.repeat(token, len(x), 0), x], 1) + positions

    def block(self, x, number, shift=0.0):
        """The tokens after a block, and its attention (N, heads, T, T)."""
        name = f"block{number}"
        normalized = normalize(x, *self.of(f"{name}_norm1"))
        wq, bq, wk, bk, wv, bv, wo, bo = self.of(f"{name}_attention")
        q, k, v = (np.einsum("ntd,dhe->nhte", normalized, w) + b[:, None] for w, b in ((wq, bq), (wk, bk), (wv, bv)))
        attention = softmax(np.einsum("nhte,nhse->nhts", q, k) / np.sqrt(q.shape[-1])) + shift
        x = x + np.einsum("nhts,nhse,hed->ntd", attention, v, wo) + bo
        (w1, b1), (w2, b2) = self.of(f"{name}_dense1"), self.of(f"{name}_dense2")
        hidden = normalize(x, *self.of(f"{name}_norm2")) @ w1 + b1
        return x + hidden * (1 + np.vectorize(erf)(hidden / np.sqrt(2))) / 2 @ w2 + b2, attention

    def head(self, x):
        kernel, bias = self.of("logits")
        return normalize(x, *self.of("norm"))[:, 0] @ kernel + bias

    def __call__(self, images, shifts=None):
        """The logits, and the attention of each layer."""
        x, layers = self.tokens(images), []
        for number in range(self.depth):
            x, attention = self.block(x, number + 1, 0.0 if shifts is None else shifts[number])
            layers.append(attention)
        return self.head(x), layers
