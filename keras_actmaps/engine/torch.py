"""PyTorch: autograd differentiates; programs run as they go."""

from collections.abc import Callable
from contextlib import contextmanager

import torch
from keras import ops, tree

from keras_actmaps.engine.modules import adopted as adopted

Module = torch.nn.Module


class compiled:
    """`function` of tensors without a record for autograd. PyTorch runs it as it goes, so `traces` stays 0.

    variables: not needed, since the function reads their values of the moment. precision: "float32" or "tf32" of matrix
    products. xla: None or False; PyTorch has no XLA.
    """

    traces = 0

    def __init__(self, function: Callable, variables=(), precision: str = "float32", xla: bool | None = None):
        if xla:
            raise ValueError("xla=True: PyTorch runs without XLA")
        self._function = function
        self._precision = precision

    def __call__(self, *tensors):
        with torch.no_grad(), _matrix_products(self._precision):
            return self._function(*map(ops.convert_to_tensor, tensors))


def xla_is_default() -> bool:
    """PyTorch has none."""
    return False


def gradients(function: Callable, tensors: list) -> tuple[list, object]:
    """`function(*tensors) -> (scores, anything)`: the gradients of the summed scores at `tensors`, and anything.

    Raises ValueError where the scores do not depend on a tensor through differentiable operations.
    """
    with torch.enable_grad():
        tensors = _leaves(tensors)
        scores, anything = function(*tensors)
        found = torch.autograd.grad(scores.sum(), tensors, allow_unused=True) if scores.requires_grad else [None]
    if any(gradient is None for gradient in found):
        raise ValueError("the score does not depend on the input through operations that have a gradient")
    return list(found), tree.map_structure(_detached, anything)


def pullback(function: Callable, tensors: list) -> tuple[list, Callable]:
    """`function(*tensors) -> list`: its outputs, and what turns cotangents at these into cotangents at the tensors.

    A tensor that the outputs do not depend on gets zeros. The returned function may be called once.
    """
    with torch.enable_grad():
        leaves = _leaves(tensors)
        outputs = function(*leaves)

    def back(cotangents: list) -> list:
        reached = [(output, part) for output, part in zip(outputs, cotangents) if output.requires_grad]
        if not reached:
            return [torch.zeros_like(leaf) for leaf in leaves]
        outputs_reached, parts = zip(*reached)
        return list(torch.autograd.grad(outputs_reached, leaves, parts, materialize_grads=True))

    return [output.detach() for output in outputs], back


def with_backward(function: Callable, backward: Callable) -> Callable:
    """`function` of one tensor, whose gradient is `backward(inputs, gradients at the outputs)` instead of its own."""

    class Replaced(torch.autograd.Function):
        @staticmethod
        def forward(context, inputs):
            context.save_for_backward(inputs)
            return function(inputs)

        @staticmethod
        def backward(context, gradients):
            return backward(*context.saved_tensors, gradients)

    return Replaced.apply


def _leaves(tensors) -> list:
    return [ops.convert_to_tensor(tensor).detach().requires_grad_() for tensor in tensors]


def _detached(anything):
    return anything.detach() if isinstance(anything, torch.Tensor) else anything


@contextmanager
def _matrix_products(precision: str):
    """Float32 products in full, or rounded to TensorFloat-32 where the GPU has it."""
    places = torch.backends.cuda.matmul, torch.backends.cudnn.conv
    before = [place.fp32_precision for place in places]
    for place in places:
        place.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    try:
        yield
    finally:
        for place, setting in zip(places, before):
            place.fp32_precision = setting
