"""Composite layers: the `call` of a layer with layers inside, or a fused attention, as a graph of its own."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import keras
from keras import ops, tree
from keras.layers import EinsumDense

from keras_actmaps.core._keras_compat import (
    all_layers,
    attributes,
    call_takes_training,
    get_mask,
    kept_calls,
    ordered_nodes,
    own_variables,
    set_mask,
    shallow_copy,
)
from keras_actmaps.core.graph import Node, is_floating
from keras_actmaps.core.two_batches import SIZES, is_sized, merge_functions, sized_shape

OPENED = tuple(
    getattr(keras.layers, name) for name in ("MultiHeadAttention", "GroupQueryAttention") if hasattr(keras.layers, name)
)  # layers of Keras that are traced; all others have a type of their own
FUSED = "DotProductAttention"


def masks_to_carry(node: Node) -> list[Any]:
    """The masks of the symbols that a composite layer reads, as Keras hands them on, that are no arguments of it."""
    if _call_of(node.operation) is None:
        return []
    symbols = [symbol for symbol in node.arguments.keras_tensors if id(symbol) in node.reads]
    found = {id(mask): mask for symbol in symbols if (mask := get_mask(symbol)) is not None}
    return [mask for key, mask in found.items() if key not in set(map(id, symbols))]


@dataclass(frozen=True)
class Composite:
    """What a node computes as a function.

    Attributes
    ----------
    function : keras.Function
        Its outputs are flat.
    keys : list of int
        Ids of the symbols of the node that are the first inputs of the function.
    variables : mapping of str to keras.Variable
        Those of the layer itself, by name, which are its other inputs.
    """

    function: keras.Function
    keys: list[int]
    variables: Mapping[str, Any]


@dataclass(frozen=True)
class ReadVariable:
    """The operation of a node that reads the current value of a variable."""

    variable: Any

    def __call__(self) -> Any:
        value = ops.convert_to_tensor(self.variable)
        return ops.cast(value, "float32") if is_floating(self.variable.dtype) else value


def composite_function(node: Node, masks: Sequence[Any] = ()) -> Composite | None:
    """What a node computes as a function of the tensors that it reads, and of masks that these carry.

    None for a node that is a single step: a layer without layers inside, one of Keras with rules of its own, and one
    whose `call` cannot be traced, for an unknown batch size or for two known ones.
    """
    call = _call_of(node.operation)
    if call is None:
        return None
    symbols = {id(symbol): symbol for symbol in node.arguments.keras_tensors if id(symbol) in node.reads}
    read = {**symbols, **{id(mask): mask for mask in masks}}
    for found in [own, {}] if (own := _variables_of(node.operation)) else [{}]:
        shapes = {key: symbol.shape for key, symbol in read.items()}
        function = None if is_sized(read.values()) else _trace(node, read, shapes, found)
        if function is None or not _is_faithful(function, node, bool(found)):
            pair = [
                _trace(node, read, {key: sized_shape(symbol, number) for key, symbol in read.items()}, found)
                for number in range(len(SIZES))
            ]
            function = None if None in pair else merge_functions(*pair)
        if function is not None and _is_faithful(function, node, bool(found)):
            return Composite(function, list(read), found)
    return None


def _variables_of(operation: Any) -> dict[str, Any]:
    """The variables of a composite layer itself by the names of its attributes; {} if not all of them are such."""
    if not isinstance(operation, keras.layers.Layer) or isinstance(operation, OPENED):
        return {}
    own = {id(variable) for variable in own_variables(operation)}
    found = {name: value for name, value in attributes(operation).items() if id(value) in own}
    return found if len(found) == len(own) else {}


def _trace(
    node: Node, read: Mapping[int, Any], shapes: Mapping[int, tuple], variables: Mapping[str, Any]
) -> keras.Function | None:
    """A node's call on symbols of these shapes, its masks included, and on symbols for variables; None on an error."""
    fresh = {key: keras.KerasTensor(shapes[key], symbol.dtype) for key, symbol in read.items()}
    symbols = {id(symbol): symbol for symbol in node.arguments.keras_tensors if id(symbol) in node.reads}
    if not _carry_masks(symbols, fresh):
        return None
    extra = {name: keras.KerasTensor(value.shape, value.dtype) for name, value in variables.items()}
    call: Any = _call_of(node.operation, extra)
    args, kwargs = node.arguments.fill_in({key: fresh[key] for key in symbols})
    kwargs = {name: value for name, value in kwargs.items() if name != "training"}
    kwargs |= _mask_arguments(call, args, kwargs)
    training = {"training": False} if call_takes_training(node.operation) else {}
    with kept_calls(all_layers(node.operation) if isinstance(node.operation, keras.layers.Layer) else []):
        try:
            outputs = tree.flatten(call(*args, **kwargs, **training))
            return keras.Function([*fresh.values(), *extra.values()], outputs)
        except Exception:  # any error of the user's code on symbolic tensors means that it cannot be traced
            return None


def is_fused_attention(operation: Any) -> bool:
    """Whether this is the operation of `ops.dot_product_attention`."""
    return isinstance(operation, keras.Operation) and type(operation).__name__ == FUSED


def _call_of(operation: Any, variables: Mapping[str, Any] = MappingProxyType({})) -> Callable | None:
    """The function of symbolic tensors that an operation stands for; None for a single step.

    variables: symbols in the places of variables of the layer.
    """
    if is_fused_attention(operation):
        return lambda *args, **kwargs: unfused_attention(operation, *args, **kwargs)
    if not isinstance(operation, keras.layers.Layer) or isinstance(operation, keras.Model):
        return None
    is_own = type(operation).call.__module__.startswith("keras.")
    is_opened = isinstance(operation, OPENED) if is_own else len(all_layers(operation)) > 1 or _only_trains(operation)
    return _twin(operation, variables).call if is_opened else None


def _only_trains(layer: Any) -> bool:
    """Whether a layer without weights has another call in training, as one that drops paths."""
    return call_takes_training(layer) and not layer.weights


def _twin(layer: Any, variables: Mapping[str, Any]) -> Any:
    """A copy of a layer on the same variables whose projections know the number of tokens that they return."""
    projections = {name: part for name, part in attributes(layer).items() if isinstance(part, EinsumDense)}
    return shallow_copy(layer, **{name: _with_shape(part) for name, part in projections.items()}, **variables)


def _with_shape(layer: Any) -> Any:
    """A copy of an EinsumDense layer whose symbolic outputs have the sizes of its inputs; Keras forgets these."""

    def compute_output_shape(input_shape: tuple) -> tuple:
        inputs, kernel, outputs = re.split(",|->", layer.equation.replace(" ", ""))
        sizes = {**dict(zip(kernel, layer.kernel.shape)), **dict(zip(inputs, input_shape))}
        return tuple(sizes[label] for label in outputs)

    return layer if "..." in layer.equation else shallow_copy(layer, compute_output_shape=compute_output_shape)


def unfused_attention(
    operation: Any,
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: Any = None,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Any:
    """softmax(scale q k + bias) v of heads (N, T, heads, D), as `ops.dot_product_attention`, in separate steps.

    The last two arguments are those of a call by Keras 3.10; later versions keep the cap on the operation.
    """
    soft_cap = vars(operation).get("attn_logits_soft_cap", attn_logits_soft_cap)
    if operation.is_causal or soft_cap is not None or key.shape[2] != query.shape[2]:
        raise NotImplementedError("attention that is causal, capped or grouped stays fused")
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = ops.einsum("btnh,bsnh->bnts", query, key) * scale
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = ops.where(mask, scores, LOWEST_SCORE)
    return ops.einsum("bnts,bsnh->btnh", ops.softmax(scores, axis=-1), value)


LOWEST_SCORE = -0.7 * 3.4028234663852886e38  # of a masked pair of tokens, as in Keras: 0.7 times the lowest float32


def _carry_masks(symbols: Mapping[int, Any], fresh: Mapping[int, Any]) -> bool:
    """Give new symbols the masks of the old ones; False if a mask is not among the arguments of the node."""
    for key, symbol in symbols.items():
        mask = get_mask(symbol)
        if mask is not None and id(mask) not in fresh:
            return False
        if mask is not None:
            set_mask(fresh[key], fresh[id(mask)])
    return True


def _mask_arguments(call: Callable, args: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The masks that Keras' `__call__` would pass to a `call`: `mask` of its only tensor, `query_mask` of `query`."""
    parameters = inspect.signature(call).parameters
    bound = {**dict(zip(parameters, args)), **kwargs}
    found = {}
    tensors = {name: value for name, value in bound.items() if isinstance(value, keras.KerasTensor)}
    for name, value in tensors.items():
        mask = get_mask(value)
        for own in (f"{name}_mask", *(["mask"] if len(tensors) == 1 else [])):
            if mask is not None and own in parameters and bound.get(own) is None:
                found[own] = mask
    return found


def _is_faithful(function: keras.Function, node: Node, has_symbols: bool) -> bool:
    """Whether a trace has the outputs of the node, runs at any batch size, and holds no copy of a variable.

    A variable that is used in an operation on constants, such as `ops.broadcast_to(self.token, ...)`, becomes one,
    unless there are symbols for variables.
    """
    steps = ordered_nodes(function)
    if len(function.outputs) != len(node.writes) or any(_needs_sizes(step.operation) for step in steps):
        return False
    is_layer = isinstance(node.operation, keras.layers.Layer)
    return (
        has_symbols
        or not (is_layer and own_variables(node.operation))
        or not any(_holds_tensor(step) for step in ordered_nodes(function))
    )


def at_any_batch_size(operation: Any) -> Any:
    """A reshape to the batch size, unknown in a trace, as one to -1; other operations unchanged."""
    shape = getattr(operation, "newshape", None)
    if not isinstance(shape, tuple) or shape.count(None) != 1 or -1 in shape:
        return operation
    return shallow_copy(operation, newshape=tuple(-1 if side is None else side for side in shape))


def _needs_sizes(operation: Any) -> bool:
    """Whether an operation that is no layer has an unknown size among its arguments."""
    if isinstance(operation, keras.layers.Layer):
        return False
    values = vars(at_any_batch_size(operation))
    shapes = [values.get(name) for name in ("newshape", "shape")]
    return any(isinstance(shape, (tuple, list)) and None in shape for shape in shapes)


def _holds_tensor(step: Any) -> bool:
    """Whether a step of a function has a constant tensor among its arguments."""
    if step.is_input:
        return False
    values = tree.flatten([step.arguments.args, step.arguments.kwargs])
    return any(ops.is_tensor(value) and not isinstance(value, keras.KerasTensor) for value in values)
