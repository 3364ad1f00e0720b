"""JAX: jax.vjp differentiates, jax.jit compiles; the model's variables are passed as arguments."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras
from jax import numpy as jnp

from keras_actmaps.backend._recent import MAX_SHAPES, Recent

PRODUCTS = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": "highest"}
NO_GRADIENT = (
    "the score does not depend on the input through operations that have a gradient; occlusion and rise need none"
)


class CompiledFunction:
    """A function of tensors as an XLA program, traced once per shape; `traces` is the number of traces.

    The programs of the MAX_SHAPES most recently used shapes are kept.

    Parameters
    ----------
    function : callable
        A function of tensors.
    variables : sequence of keras.Variable
        The variables that the function reads, with their current values at each call.
    precision : {"float32", "tf32", "bfloat16"}
        Of matrix products; rounded to TensorFloat-32 for "tf32".
    xla : bool or None
        None or True; JAX has no other compiler.
    """

    def __init__(
        self, function: Callable, variables: Sequence = (), precision: str = "float32", xla: bool | None = None
    ):
        if xla is False:
            raise ValueError("xla=False: JAX compiles with XLA only")
        self.traces = 0
        self._function = function
        self._variables = list(variables)
        self._products = PRODUCTS[precision]
        self._programs = Recent(MAX_SHAPES)

    def _compiled(self) -> Callable:
        """The function under a compiler of its own, whose programs are freed as soon as nobody refers to it."""

        def traced(values: list, *tensors: Any) -> Any:
            self.traces += 1
            with keras.StatelessScope(state_mapping=list(zip(self._variables, values))):
                return self._function(*tensors)

        return jax.jit(traced)

    def __call__(self, *tensors: Any) -> Any:
        values = [variable.value for variable in self._variables]
        shapes = tuple((jnp.shape(tensor), jnp.result_type(tensor)) for tensor in tensors)
        program = self._programs.get(shapes, self._compiled)
        try:
            with jax.default_matmul_precision(self._products):
                return program(values, *tensors)
        except ValueError as error:  # raised by this package while tracing
            vars(error).pop("__notes__", None)  # JAX's note on frames that it omits from the traceback
            if "callbacks do not support JVP" in str(error):
                raise ValueError(NO_GRADIENT) from error
            raise


def argmax(tensor: Any) -> Any:
    """The first index of the largest value along the last axis."""
    return jnp.argmax(tensor, axis=-1).astype("int32")


def eager_scope() -> Any:
    """A context in which operations run at once, even while a program is traced."""
    return jax.ensure_compile_time_eval()


def xla_by_default() -> bool:
    """JAX compiles with XLA only."""
    return True


def gradients(function: Callable, tensors: Sequence) -> tuple[list, Any]:
    """`function(*tensors) -> (scores, aux)`: the gradients of the summed scores at `tensors`, and aux.

    Raises ValueError if the scores do not depend on the tensors through differentiable operations.
    """
    watched, reached = _watch()

    def total(*tensors: Any) -> tuple:
        scores, aux = function(*tensors)
        return jnp.sum(watched(scores)), aux

    backward: Any
    aux: Any
    _, backward, aux = jax.vjp(total, *map(jnp.asarray, tensors), has_aux=True)
    if not reached:
        raise ValueError(NO_GRADIENT)
    return list(backward(jnp.ones(()))), aux


def _watch() -> tuple[Callable, list]:
    """The identity function, and a list that is filled where its argument depends on a tensor with a gradient."""
    reached: list[bool] = []

    @jax.custom_jvp
    def watched(scores: Any) -> Any:
        return scores

    @watched.defjvp
    def _(primals: tuple, tangents: tuple) -> tuple:  # JAX calls this only where the scores depend on a tensor
        reached.append(True)
        return watched(*primals), tangents[0]

    return watched, reached


def vjp(function: Callable, tensors: Sequence) -> tuple[list, Callable]:
    """`function(*tensors) -> list`: its outputs, and the function from cotangents of these to cotangents of `tensors`.

    The cotangent of a tensor that the outputs do not depend on is 0.
    """
    outputs, backward = jax.vjp(function, *tensors)
    return outputs, lambda cotangents: list(backward(type(outputs)(cotangents)))


def batched_gradients(function: Callable, tensors: Sequence) -> tuple[Any, Callable]:
    """`function(*tensors) -> scores (N, classes)`: the scores, and the function from cotangents (B, N, classes) to
    gradients (B, ...) at each tensor. Raises ValueError as `gradients` does.
    """
    watched, reached = _watch()
    scores, backward = jax.vjp(lambda *tensors: watched(function(*tensors)), *tensors)
    if not reached:
        raise ValueError(NO_GRADIENT)
    return scores, jax.vmap(lambda cotangents: list(backward(cotangents)))


def custom_gradient(function: Callable, backward: Callable) -> Callable:
    """`function` of one tensor with the gradient `backward(inputs, gradients of the outputs)`."""
    # The lambda hides the defaults of the function, which custom_vjp would pass as arguments.
    replaced = jax.custom_vjp(lambda inputs: function(inputs))
    replaced.defvjp(lambda inputs: (function(inputs), inputs), lambda inputs, gradients: (backward(inputs, gradients),))
    return replaced
