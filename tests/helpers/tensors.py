"""Tensors of whichever framework Keras runs on."""

import cv2
import keras
import numpy as np
import pytest
from keras import ops

BACKEND = keras.backend.backend()
traced = pytest.mark.skipif(BACKEND == "torch", reason="PyTorch runs eagerly: nothing is traced")


def array(tensor) -> np.ndarray:
    """A tensor of any framework as an array."""
    return ops.convert_to_numpy(tensor)


def gradient_of(function, x) -> np.ndarray:
    """The gradient of the sum of `function(x)`, computed by the framework itself."""
    if BACKEND == "jax":
        import jax

        return array(jax.grad(lambda x: ops.sum(function(x)))(ops.convert_to_tensor(x)))
    if BACKEND == "torch":
        import torch

        x = torch.tensor(array(x), requires_grad=True)
        return array(torch.autograd.grad(function(x).sum(), x)[0])
    import tensorflow as tf

    x = tf.convert_to_tensor(array(x))
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = ops.sum(function(x))
    return array(tape.gradient(total, x))


def outside_keras(x):
    """x, through an operation of the framework itself, which Keras cannot trace."""
    if BACKEND == "jax":
        import jax

        return jax.lax.mul(x, np.float32(1))
    if BACKEND == "torch":
        import torch

        return torch.clone(x)
    import tensorflow as tf

    return tf.identity(x)


def enlarged(maps, size) -> np.ndarray:
    """Maps (N, h, w) resized to (N, H, W), bilinear, by OpenCV."""
    return np.stack([cv2.resize(array(one), size[::-1], interpolation=cv2.INTER_LINEAR) for one in maps])
