"""TensorFlow: GradientTape differentiates, tf.function compiles, XLA where there is a GPU."""

from collections.abc import Callable
from contextlib import contextmanager

import tensorflow as tf


class compiled:
    """`function` of tensors as a graph, traced once for each shape; `traces` counts.

    variables: the Keras variables that it reads, with their values at the moment of each call. precision: "float32" or
    "tf32" of matrix products. xla: None takes XLA on a GPU and a plain graph on a CPU, where XLA can be ten times
    slower.
    """

    def __init__(self, function: Callable, variables=(), precision: str = "float32", xla: bool | None = None):
        self.traces = 0
        self._precision = precision
        self._programs: dict = {}

        def traced(*tensors):
            self.traces += 1
            return function(*tensors)

        xla = xla_is_default() if xla is None else xla
        self._function = tf.function(traced, jit_compile=xla or None, autograph=False)

    def __call__(self, *tensors):
        tensors = [tf.convert_to_tensor(tensor) for tensor in tensors]
        shapes = tuple((tuple(tensor.shape), tensor.dtype) for tensor in tensors)
        with _matrix_products(self._precision):
            if shapes not in self._programs:
                self._programs[shapes] = self._function.get_concrete_function(*tensors)
            return self._programs[shapes](*tensors)


def xla_is_default() -> bool:
    """On a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def gradients(function: Callable, tensors: list) -> tuple[list, object]:
    """`function(*tensors) -> (scores, anything)`: the gradients of the summed scores at `tensors`, and anything.

    Raises ValueError where the scores do not depend on a tensor through differentiable operations.
    """
    tensors = [tf.convert_to_tensor(tensor) for tensor in tensors]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        scores, anything = function(*tensors)
    found = tape.gradient(scores, tensors)
    if any(gradient is None for gradient in found):
        raise ValueError("the score does not depend on the input through operations that have a gradient")
    return [tf.convert_to_tensor(gradient) for gradient in found], anything


def pullback(function: Callable, tensors: list) -> tuple[list, Callable]:
    """`function(*tensors) -> list`: its outputs, and what turns cotangents at these into cotangents at the tensors.

    A tensor that the outputs do not depend on gets zeros. The returned function may be called once.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        outputs = function(*tensors)

    def back(cotangents: list) -> list:
        return tape.gradient(outputs, tensors, cotangents, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    return outputs, back


def with_backward(function: Callable, backward: Callable) -> Callable:
    """`function` of one tensor, whose gradient is `backward(inputs, gradients at the outputs)` instead of its own."""

    @tf.custom_gradient
    def replaced(inputs):
        return function(inputs), lambda gradients: backward(inputs, gradients)

    return replaced


@contextmanager
def _matrix_products(precision: str):
    """Float32 products in full, or rounded to TensorFloat-32 where the GPU has it."""
    settings = tf.config.experimental
    before = settings.tensor_float_32_execution_enabled()
    settings.enable_tensor_float_32_execution(precision == "tf32")
    try:
        yield
    finally:
        settings.enable_tensor_float_32_execution(before)
