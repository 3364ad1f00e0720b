"""JAX: jax.vjp differentiates, jax.jit compiles; the model's variables go in as arguments."""

from collections.abc import Callable

import jax
import keras
from jax import numpy as jnp

PRODUCTS = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": "highest"}


class compiled:
    """`function` of tensors as an XLA program, traced once for each shape; `traces` counts.

    variables: the Keras variables that it reads, with their values at the moment of each call. precision: "float32" or
    "tf32" of matrix products. xla: None or True; JAX has no other compiler.
    """

    def __init__(self, function: Callable, variables=(), precision: str = "float32", xla: bool | None = None):
        if xla is False:
            raise ValueError("xla=False: JAX compiles with XLA only")
        self.traces = 0
        self._variables = list(variables)
        self._products = PRODUCTS[precision]

        def traced(values, *tensors):
            self.traces += 1
            with keras.StatelessScope(state_mapping=list(zip(self._variables, values))):
                return function(*tensors)

        self._function = jax.jit(traced)

    def __call__(self, *tensors):
        values = [variable.value for variable in self._variables]
        try:
            with jax.default_matmul_precision(self._products):
                return self._function(values, *tensors)
        except ValueError as error:  # of ours, raised while tracing
            vars(error).pop("__notes__", None)  # JAX's, on what it leaves out of the traceback
            raise


def xla_is_default() -> bool:
    """There is nothing else."""
    return True


def gradients(function: Callable, tensors: list) -> tuple[list, object]:
    """`function(*tensors) -> (scores, anything)`: the gradients of the summed scores at `tensors`, and anything.

    Raises ValueError where the scores do not depend on the tensors through differentiable operations.
    """

    reached = []

    @jax.custom_jvp
    def watched(scores):
        return scores

    @watched.defjvp
    def _(primals, tangents):  # which JAX asks for only where the scores depend on a tensor
        reached.append(True)
        return watched(*primals), tangents[0]

    def total(*tensors):
        scores, anything = function(*tensors)
        return jnp.sum(watched(scores)), anything

    _, back, anything = jax.vjp(total, *map(jnp.asarray, tensors), has_aux=True)
    if not reached:
        raise ValueError("the score does not depend on the input through operations that have a gradient")
    return list(back(jnp.ones(()))), anything


def pullback(function: Callable, tensors: list) -> tuple[list, Callable]:
    """`function(*tensors) -> list`: its outputs, and what turns cotangents at these into cotangents at the tensors.

    A tensor that the outputs do not depend on gets zeros.
    """
    outputs, back = jax.vjp(function, *tensors)
    return outputs, lambda cotangents: list(back(type(outputs)(cotangents)))


def with_backward(function: Callable, backward: Callable) -> Callable:
    """`function` of one tensor, whose gradient is `backward(inputs, gradients at the outputs)` instead of its own."""
    replaced = jax.custom_vjp(lambda inputs: function(inputs))  # which fills in no defaults of the function
    replaced.defvjp(lambda inputs: (function(inputs), inputs), lambda inputs, gradients: (backward(inputs, gradients),))
    return replaced
