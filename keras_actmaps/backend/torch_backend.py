"""PyTorch: autograd differentiates; programs run eagerly."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from keras import ops, tree

from keras_actmaps.backend._shared_setting import SharedSetting
from keras_actmaps.backend.torch_fx import convert_module as convert_module

Module = torch.nn.Module
NO_GRADIENT = (
    "the score does not depend on the input through operations that have a gradient; occlusion and rise need none"
)
_PRODUCTS: tuple[Any, ...] = (torch.backends.cuda.matmul, getattr(torch.backends.cudnn, "conv"))  # noqa: B009, which mypy does not know


def _write_precisions(values: Sequence[str]) -> None:
    for module, value in zip(_PRODUCTS, values):
        module.fp32_precision = value


_product_precision = SharedSetting(lambda: [module.fp32_precision for module in _PRODUCTS], _write_precisions)


class CompiledFunction:
    """A function of tensors, run eagerly without autograd recording; `traces` is always 0.

    Parameters
    ----------
    function : callable
        A function of tensors. It reads the values of the model's weights at each call.
    variables : sequence of keras.Variable
        Not used.
    precision : {"float32", "tf32", "bfloat16"}
        Of matrix products; rounded to TensorFloat-32 for "tf32".
    xla : bool or None
        None or False; PyTorch has no XLA.
    """

    traces = 0

    def __init__(
        self, function: Callable, variables: Sequence = (), precision: str = "float32", xla: bool | None = None
    ):
        if xla:
            raise ValueError("xla=True: PyTorch runs without XLA")
        self._function = function
        self._products = ["tf32" if precision == "tf32" else "ieee"] * len(_PRODUCTS)

    def __call__(self, *tensors: Any) -> Any:
        with torch.no_grad(), _product_precision(self._products):
            return self._function(*map(ops.convert_to_tensor, tensors))


def argmax(tensor: Any) -> Any:
    """The first index of the largest value along the last axis."""
    return torch.argmax(tensor, dim=-1).to(torch.int32)


def eager_scope() -> Any:
    """A context in which operations run at once, as they always do on PyTorch."""
    return torch.no_grad()


def xla_by_default() -> bool:
    """PyTorch has no XLA."""
    return False


def _writable(leaves: Sequence) -> list:
    """Copies that a layer may write to: pooling with a mask does so in Keras 3.10."""
    return [leaf.clone() for leaf in leaves]


def gradients(function: Callable, tensors: Sequence) -> tuple[list, Any]:
    """`function(*tensors) -> (scores, aux)`: the gradients of the summed scores at `tensors`, and aux.

    Raises ValueError if the scores do not depend on a tensor through differentiable operations.
    """
    with torch.enable_grad():
        leaves = _leaves(tensors)
        scores, aux = function(*_writable(leaves))
        found = torch.autograd.grad(scores.sum(), leaves, allow_unused=True) if scores.requires_grad else [None]
    if any(gradient is None for gradient in found):
        raise ValueError(NO_GRADIENT)
    return list(found), tree.map_structure(_detach, aux)


def vjp(function: Callable, tensors: Sequence) -> tuple[list, Callable]:
    """`function(*tensors) -> list`: its outputs, and the function from cotangents of these to cotangents of `tensors`.

    The cotangent of a tensor that the outputs do not depend on is 0. The returned function may be called once.
    """
    with torch.enable_grad():
        leaves = _leaves(tensors)
        outputs = function(*_writable(leaves))

    def backward(cotangents: list) -> list:
        reached = [(output, part) for output, part in zip(outputs, cotangents) if output.requires_grad]
        if not reached:
            return [torch.zeros_like(leaf) for leaf in leaves]
        outputs_reached, parts = zip(*reached)
        return list(torch.autograd.grad(outputs_reached, leaves, parts, materialize_grads=True))

    return [output.detach() for output in outputs], backward


def batched_gradients(function: Callable, tensors: Sequence) -> tuple[Any, Callable]:
    """`function(*tensors) -> scores (N, classes)`: the scores, and the function from cotangents (B, N, classes) to
    gradients (B, ...) at each tensor. Raises ValueError as `gradients` does.
    """
    with torch.enable_grad():
        leaves = _leaves(tensors)
        scores = function(*leaves)
    if not scores.requires_grad:
        raise ValueError(NO_GRADIENT)

    def backward(cotangents: torch.Tensor) -> list:
        found = torch.autograd.grad(
            scores, leaves, cotangents, retain_graph=True, allow_unused=True, is_grads_batched=True
        )
        if any(gradient is None for gradient in found):
            raise ValueError(NO_GRADIENT)
        return list(found)

    return scores.detach(), backward


def custom_gradient(function: Callable, backward: Callable) -> Callable:
    """`function` of one tensor with the gradient `backward(inputs, gradients of the outputs)`."""
    own_backward = backward

    class Replaced(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, inputs: torch.Tensor) -> torch.Tensor:
            context.save_for_backward(inputs)
            return function(inputs)

        @staticmethod
        def backward(context: Any, gradients: torch.Tensor) -> torch.Tensor:
            return own_backward(*context.saved_tensors, gradients)

    return Replaced.apply


def _leaves(tensors: Sequence) -> list:
    return [ops.convert_to_tensor(tensor).detach().requires_grad_() for tensor in tensors]


def _detach(value: Any) -> Any:
    return value.detach() if isinstance(value, torch.Tensor) else value
