"""A layer that computes with the number of its inputs, traced for two numbers; what differs depends on the number.

Swin's blocks divide the size of the batch by the number of windows, which fails on the unknown size of a symbol.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
from keras import ops, tree

from keras_actmaps.core._keras_compat import ordered_nodes

SIZES = (2, 3)


def sized_shape(symbol: keras.KerasTensor, number: int) -> tuple:
    """The shape of a symbol for the first or second batch size."""
    shape = symbol.shape if number == 0 else getattr(symbol, "other_shape", symbol.shape)
    return (SIZES[number], *shape[1:]) if len(shape) and shape[0] is None else tuple(shape)


def is_sized(symbols: Iterable[keras.KerasTensor]) -> bool:
    """Whether any symbol comes from a trace for two batch sizes."""
    return any(hasattr(symbol, "other_shape") for symbol in symbols)


def merged_shape(symbol: keras.KerasTensor) -> tuple:
    """The shape of a symbol, with None for sizes that depend on the batch."""
    return _merged(symbol.shape, getattr(symbol, "other_shape", symbol.shape))


def merge_functions(first: keras.Function, second: keras.Function) -> keras.Function | None:
    """The first of two traces for two batch sizes, whose symbols get the shapes of the second as `other_shape`.

    Reshapes infer the size that depends on the batch. None where the traces differ in anything else, such as in a
    constant as large as the batch.
    """
    steps, others = ordered_nodes(first), ordered_nodes(second)
    if [type(step.operation) for step in steps] != [type(step.operation) for step in others]:
        return None
    for step, other in zip(steps, others):
        for symbol, same in zip(step.outputs, other.outputs):
            symbol.other_shape = tuple(same.shape)
        if not step.is_input and not _infers_batch(step, other):
            return None
    return first


def _infers_batch(step: Any, other: Any) -> bool:
    """Whether a step runs at any batch size, which a reshape is changed to do."""
    operation = step.operation
    is_layer = isinstance(operation, keras.layers.Layer)
    if not is_layer and hasattr(operation, "newshape"):
        shape = merged_shape(step.outputs[0])
        if None in shape:
            operation.newshape = tuple(-1 if side is None else side for side in shape)
        return shape.count(None) < 2
    values, same = (tree.flatten([one.arguments.args, one.arguments.kwargs]) for one in (step, other))
    if not is_layer:
        values, same = [*values, *_numbers(operation)], [*same, *_numbers(other.operation)]
    return len(values) == len(same) and all(map(_is_same, values, same))


def _numbers(operation: Any) -> list:
    """The numbers among the attributes of an operation."""
    found: Mapping[str, Any] = {name: value for name, value in vars(operation).items() if not name.startswith("_")}
    return [value for value in tree.flatten(dict(found)) if isinstance(value, int | float)]


def _is_same(value: Any, other: Any) -> bool:
    """Whether two arguments agree: symbols in any case, constants in their shape, numbers in their value."""
    if isinstance(value, keras.KerasTensor):
        return isinstance(other, keras.KerasTensor)
    if ops.is_tensor(value):
        return ops.is_tensor(other) and tuple(value.shape) == tuple(other.shape)
    return not isinstance(value, int | float) or value == other


def _merged(shape: Iterable, other: Iterable) -> tuple:
    return tuple(one if one == two else None for one, two in zip(shape, other))
