"""TensorFlow: GradientTape differentiates; tf.function compiles, with XLA where there is a GPU."""

import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_actmaps.backend._recent import MAX_SHAPES, Recent
from keras_actmaps.backend._shared_setting import SharedSetting

_settings = tf.config.experimental
_tensor_float_32 = SharedSetting(
    _settings.tensor_float_32_execution_enabled, _settings.enable_tensor_float_32_execution
)
NO_GRADIENT = (
    "the score does not depend on the input through operations that have a gradient; occlusion and rise need none"
)


class CompiledFunction:
    """A function of tensors as a graph, traced once per shape; `traces` is the number of traces.

    The graphs of the MAX_SHAPES most recently used shapes are kept.

    Parameters
    ----------
    function : callable
        A function of tensors.
    variables : sequence of keras.Variable
        The variables that the function reads, with their current values at each call.
    precision : {"float32", "tf32", "bfloat16"}
        Of matrix products; rounded to TensorFloat-32 for "tf32".
    xla : bool or None
        None uses XLA on a GPU, and a plain graph on a CPU, where XLA can be ten times slower. A function with an
        operation that XLA lacks, such as bicubic resizing, runs as a plain graph with a warning.
    """

    def __init__(
        self, function: Callable, variables: Sequence = (), precision: str = "float32", xla: bool | None = None
    ):
        self.traces = 0
        self._function = function
        self._precision = precision
        self._xla = xla_by_default() if xla is None else xla
        self._programs = Recent(MAX_SHAPES)

    def __call__(self, *tensors: Any) -> Any:
        tensors = tuple(tf.convert_to_tensor(tensor) for tensor in tensors)
        shapes = tuple((tuple(tensor.shape), tensor.dtype) for tensor in tensors)
        with _tensor_float_32(self._precision == "tf32"):
            program = self._programs.get(shapes, lambda: self._traced(tensors, self._xla))
            try:
                return program(*tensors)
            except tf.errors.OpError as error:
                if not self._xla or "XLA" not in error.message:
                    raise
                _warn_of_plain_graph(error.message)
            return self._programs.replace(shapes, program, lambda: self._traced(tensors, xla=False))(*tensors)

    def _traced(self, tensors: tuple, xla: bool) -> Callable:
        """The function as a graph of its own for these shapes, which is freed as soon as nobody refers to it."""

        def traced(*tensors: Any) -> Any:
            self.traces += 1
            return self._function(*tensors)

        return tf.function(traced, jit_compile=xla or None, autograph=False).get_concrete_function(*tensors)


def _warn_of_plain_graph(message: str) -> None:
    """Warn that XLA has refused a function, with the operations that it lacks."""
    found = sorted(set(re.findall(r"No registered '(\w+)' OpKernel", message)))
    warnings.warn(f"XLA lacks {', '.join(found) or 'an operation'} of the model; run without XLA", stacklevel=3)


def argmax(tensor: Any) -> Any:
    """The first index of the largest value along the last axis; `ops.argmax` is ten operations in a graph."""
    return tf.argmax(tensor, axis=-1, output_type=tf.int32)


def eager_scope() -> Any:
    """A context in which operations run at once, even while a program is traced."""
    return tf.init_scope()


def xla_by_default() -> bool:
    """Whether there is a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def gradients(function: Callable, tensors: Sequence) -> tuple[list, Any]:
    """`function(*tensors) -> (scores, aux)`: the gradients of the summed scores at `tensors`, and aux.

    Raises ValueError if the scores do not depend on a tensor through differentiable operations.
    """
    tensors = [tf.convert_to_tensor(tensor) for tensor in tensors]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        scores, aux = function(*tensors)
    try:
        found = tape.gradient(scores, tensors)
    except LookupError as error:  # an operation without a gradient
        raise ValueError(NO_GRADIENT) from error
    if any(gradient is None for gradient in found):
        raise ValueError(NO_GRADIENT)
    return [tf.convert_to_tensor(gradient) for gradient in found], aux


def vjp(function: Callable, tensors: Sequence) -> tuple[list, Callable]:
    """`function(*tensors) -> list`: its outputs, and the function from cotangents of these to cotangents of `tensors`.

    The cotangent of a tensor that the outputs do not depend on is 0. The returned function may be called once.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        outputs = function(*tensors)

    def backward(cotangents: list) -> list:
        try:
            return tape.gradient(outputs, tensors, cotangents, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        except LookupError as error:  # an operation without a gradient
            raise ValueError(NO_GRADIENT) from error

    return outputs, backward


def batched_gradients(function: Callable, tensors: Sequence) -> tuple[Any, Callable]:
    """`function(*tensors) -> scores (N, classes)`: the scores, and the function from cotangents (B, N, classes) to
    gradients (B, ...) at each tensor. Raises ValueError as `gradients` does.
    """
    with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
        tape.watch(tensors)
        scores = function(*tensors)

    def backward(cotangents: Any) -> list:
        found = tape.gradient(scores, tensors, cotangents)
        if any(gradient is None for gradient in found):
            raise ValueError(NO_GRADIENT)
        return [tf.convert_to_tensor(gradient) for gradient in found]

    return scores, lambda cotangents: tf.vectorized_map(backward, cotangents)


def custom_gradient(function: Callable, backward: Callable) -> Callable:
    """`function` of one tensor with the gradient `backward(inputs, gradients of the outputs)`."""

    @tf.custom_gradient
    def replaced(inputs: Any) -> tuple:
        return function(inputs), lambda gradients: backward(inputs, gradients)

    return replaced
