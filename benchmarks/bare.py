"""Forward and backward passes of a network, written in its framework without this package."""

from collections.abc import Callable
from typing import Any

import keras

Passes = tuple[Callable, Callable]


def passes(model: keras.Model, precision: str, xla: bool | None) -> Passes:
    """images -> logits, and images -> gradients of the highest logit; both compiled, except with PyTorch."""
    return {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()](model, precision, xla)


def _tensorflow(model: keras.Model, precision: str, xla: bool | None) -> Passes:
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
    xla = bool(tf.config.list_physical_devices("GPU")) if xla is None else xla

    @tf.function(jit_compile=xla, autograph=False)
    def forward(images: Any) -> Any:
        return model(images, training=False)

    @tf.function(jit_compile=xla, autograph=False)
    def both(images: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            score = tf.reduce_max(model(images, training=False), axis=1)
        return tape.gradient(score, images)

    return (lambda images: forward(tf.constant(images))), (lambda images: both(tf.constant(images)))


def _jax(model: keras.Model, precision: str, xla: bool | None) -> Passes:
    import jax

    jax.config.update("jax_default_matmul_precision", "tensorfloat32" if precision == "tf32" else "highest")
    trained, fixed = ([v.value for v in part] for part in (model.trainable_variables, model.non_trainable_variables))

    def logits(trained: list, fixed: list, images: Any) -> Any:
        return model.stateless_call(trained, fixed, images, training=False)[0]

    forward = jax.jit(logits)
    both = jax.jit(jax.grad(lambda images, trained, fixed: logits(trained, fixed, images).max(axis=1).sum()))
    return (lambda images: forward(trained, fixed, images)), (lambda images: both(images, trained, fixed))


def _torch(model: keras.Model, precision: str, xla: bool | None) -> Passes:
    import torch

    cudnn: Any = torch.backends.cudnn
    for products in (torch.backends.cuda.matmul, cudnn.conv):
        products.fp32_precision = "tf32" if precision == "tf32" else "ieee"

    def forward(images: Any) -> Any:
        with torch.no_grad():
            return model(images, training=False)

    def both(images: Any) -> Any:
        images = keras.ops.convert_to_tensor(images).requires_grad_()
        return torch.autograd.grad(model(images, training=False).amax(1).sum(), images)[0]

    return forward, both
