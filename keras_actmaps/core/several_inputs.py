"""Models with several inputs: a graph that reads all of them from one table (N, F), and back.

Methods see a model with one tabular input, in which each input is a range of columns. A method that perturbs one input
sees that input alone, while the others keep the values of the example that is explained (`TracedModel.perturbing`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_actmaps.core._keras_compat import InputSpec, SymbolicArguments, get_columns, input_specs
from keras_actmaps.core.graph import Graph, Node, single_input_node
from keras_actmaps.core.types import Array, Slot, Tensor

LARGEST_INTEGER = 2**24  # integers up to here are exact in float32


@dataclass(frozen=True)
class Part:
    """One input of a model, and its columns in the table of all inputs.

    Attributes
    ----------
    name : str
        Name of the input.
    shape : tuple of int
        Shape of one example, channels last.
    dtype : str
        Dtype in which the model takes it.
    is_channels_first : bool
        Whether the model takes it channels first.
    start, stop : int
        Range of its columns.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    is_channels_first: bool
    start: int
    stop: int

    @property
    def is_floating(self) -> bool:
        """Whether the input has gradients, and so a map."""
        return keras.backend.is_float_dtype(self.dtype)

    @property
    def space(self) -> tuple[int, ...]:
        """The shape of a map: (H, W) for images, (T,) for sequences, (F,) for tables."""
        return self.shape[:-1] or self.shape

    @property
    def is_spatial(self) -> bool:
        """Whether the input has positions and channels."""
        return len(self.shape) > 1

    def of(self, table: Any) -> Any:
        """The input (N, *shape) in a table (N, F); an array or a tensor."""
        columns = table[:, self.start : self.stop]
        reshape = np.reshape if isinstance(columns, np.ndarray) else ops.reshape
        return reshape(columns, (-1, *self.shape))

    def into(self, inputs: Tensor, table: Tensor) -> Tensor:
        """A table (N, F) with these inputs (N, *shape), and the other inputs of the example in a table (1, F)."""
        count = ops.shape(inputs)[0]
        before, after = (
            ops.repeat(ops.convert_to_tensor(columns), count, axis=0)
            for columns in (table[:, : self.start], table[:, self.stop :])
        )
        return ops.concatenate([before, ops.reshape(inputs, (count, self.stop - self.start)), after], axis=1)


def has_several_inputs(model: Any) -> bool:
    """Whether a Keras model has more than one input."""
    return isinstance(model, keras.Model) and len(input_specs(model)) > 1


def shape_of(inputs: Any) -> tuple[int, ...]:
    """The shape of an array of any framework; ValueError for a list of arrays of several shapes."""
    try:
        return tuple(np.shape(inputs))
    except ValueError:
        raise ValueError("the inputs are not an array: their shapes differ") from None


def example_shapes(model: keras.Model, inputs: Any) -> tuple[tuple[int, ...], ...]:
    """The shapes of one example of each input, in the order of the model; ValueError if they do not fit it."""
    specs, shapes = input_specs(model), []
    for spec, array in zip(specs, in_order(inputs, specs, model.name)):
        shape = shape_of(array)
        known = spec.shape or (None,) * len(shape)
        if len(shape) != len(known) or any(side not in (None, own) for side, own in zip(known, shape)):
            raise ValueError(f"input {spec.name!r} of shape {shape} does not fit; the model takes {spec.shape}")
        shapes.append(shape[1:])
    return tuple(shapes)


def parts_of(
    specs: Sequence[InputSpec], shapes: Sequence[tuple] | None, channels_first: Sequence[bool], model: str
) -> tuple[Part, ...]:
    """The inputs of a model; ValueError if a size is unknown.

    shapes: of one example of each input, or None for those in `specs`.
    """
    parts, start = [], 0
    for number, (spec, is_first) in enumerate(zip(specs, channels_first)):
        known = shapes[number] if shapes else spec.shape[1:]
        shape = tuple(side for side in known if side is not None)
        if len(shape) < len(known):
            raise ValueError(f"input {spec.name!r} of {model!r} has unknown sizes {known}; pass `shape` to Probe")
        shape = (*shape[1:], shape[0]) if is_first else shape
        stop = start + math.prod(shape)
        parts.append(Part(spec.name, shape, spec.dtype, is_first, start, stop))
        start = stop
    return tuple(parts)


def with_table(graph: Graph, parts: Sequence[Part]) -> Graph:
    """The graph of a model with several inputs that reads them from one table (N, F)."""
    table = 1 + max(graph.shapes)
    shapes = {**graph.shapes, table: (None, parts[-1].stop)}
    nodes: list[Node] = []
    for part, slot in zip(parts, graph.inputs):
        nodes += _reading(part, slot, table, shapes)
    return replace(graph, inputs=(table,), nodes=(*nodes, *graph.nodes), shapes=shapes)


def pack(inputs: Any, parts: Sequence[Part], model: str) -> Array:
    """User-supplied inputs, a list or a dict of arrays, as a float32 table (N, F); ValueError if they do not fit."""
    arrays = [np.asarray(array) for array in in_order(inputs, parts, model)]
    lengths = {part.name: len(array) if array.ndim else 0 for part, array in zip(parts, arrays)}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the inputs of {model!r} differ in length: {_listed(lengths)}")
    columns = [_columns(array, part) for part, array in zip(parts, arrays)]
    if not lengths[parts[0].name]:
        raise ValueError(f"there are no inputs: shape {arrays[0].shape}")
    return np.concatenate(columns, axis=1)


def only_input(inputs: Any, specs: Sequence[InputSpec], rank: int, model: str) -> Any:
    """The input in a dict or a list of one, as a model with a single input may take it; anything else unchanged.

    Raises ValueError for a dict with other names, and for a list of several inputs.
    """
    if not specs:
        return inputs
    if isinstance(inputs, Mapping):
        return in_order(inputs, specs, model)[0]
    ranks = {len(one.shape) for one in inputs if hasattr(one, "shape")} if isinstance(inputs, (list, tuple)) else set()
    if len(ranks) > 1:
        raise ValueError(
            f"{model!r} takes one input, {specs[0].name}, got {len(inputs)} arrays; for optional arguments of its "
            "call, explain keras.Model(inputs, model(*inputs)) of symbolic inputs"
        )
    is_list = isinstance(inputs, (list, tuple)) and len(inputs) == 1
    return inputs[0] if is_list and len(getattr(inputs[0], "shape", ())) == rank else inputs


def unpack(values: Tensor, parts: Sequence[Part]) -> dict[str, Tensor]:
    """Values (N, F) by the name of each floating input, in its shape."""
    return {part.name: part.of(values) for part in parts if part.is_floating}


def value_ranges(table: Tensor, parts: Sequence[Part]) -> tuple[Tensor, Tensor]:
    """The lowest and the highest value of each input of each example, at its columns (N, F)."""
    ends = []
    for reduce in (ops.min, ops.max):
        columns = [table[:, part.start : part.stop] for part in parts]
        ends.append(ops.concatenate([reduce(one, 1, keepdims=True) + ops.zeros_like(one) for one in columns], 1))
    return ends[0], ends[1]


def part_named(name: Any, parts: Sequence[Part]) -> Part:
    """The input that `perturb` names; None is the single one with spatial axes. ValueError for any other."""
    choices = [part for part in parts if part.is_floating]
    names = ", ".join(part.name for part in choices)
    if name is not None:
        found = [part for part in choices if part.name == name]
        if not found:
            raise ValueError(f"perturb must be one of {names}, got {name!r}")
        return found[0]
    spatial = [part for part in choices if part.is_spatial]
    if len(spatial or choices) != 1:
        raise ValueError(f"perturb must name the input to perturb, one of {names}")
    return (spatial or choices)[0]


def packed_baseline(baseline: Any, parts: Sequence[Part], baseline_for: Any) -> Any:
    """A function from a table of inputs to the table of their baselines.

    baseline: as for a single input and the same for all inputs, or a dict with one for each input; inputs without one
    have the baseline "zero". ValueError for an input that does not exist.
    """
    own = baseline if isinstance(baseline, Mapping) else {part.name: baseline for part in parts}
    unknown = own.keys() - {part.name for part in parts}
    if unknown:
        raise ValueError(
            f"baseline: no input {', '.join(map(repr, sorted(map(str, unknown))))}; choices: "
            f"{', '.join(part.name for part in parts)}"
        )

    def of(table: Array) -> Array:
        columns = [
            baseline_for(part.of(table), own.get(part.name, "zero")) if part.is_floating else part.of(table)
            for part in parts
        ]
        return np.concatenate([np.reshape(column, (len(table), -1)) for column in columns], axis=1)

    return of


def _reading(part: Part, slot: Slot, table: Slot, shapes: dict[Slot, tuple]) -> list[Node]:
    """The nodes that read an input from the table; `shapes` is extended."""
    first = (part.shape[-1], *part.shape[:-1]) if part.is_channels_first else part.shape
    path, size = f"inputs/{part.name}", part.stop - part.start
    columns, last = 1 + max(shapes), 2 + max(shapes)
    shapes |= {columns: (None, size), last: (None, *part.shape)}
    symbol = keras.KerasTensor(shapes[table])
    arguments = SymbolicArguments(symbol, (slice(None), slice(part.start, part.stop)))
    nodes = [Node(path, get_columns(), arguments, {id(symbol): table}, (columns,))]
    reshaped = slot if first is part.shape and part.is_floating else last
    nodes.append(single_input_node(path, keras.layers.Reshape(part.shape), columns, (reshaped,), shapes))
    if part.is_channels_first:
        order = (len(first), *range(1, len(first)))
        nodes.append(single_input_node(path, keras.layers.Permute(order), last, (slot,), shapes))
    elif not part.is_floating:
        cast = _Cast(part.dtype)
        nodes.append(single_input_node(path, cast, last, (slot,), shapes))
    return nodes


class _Cast:
    """Integers from their float32 values."""

    def __init__(self, dtype: str) -> None:
        self.dtype, self.name = dtype, "cast"

    def __call__(self, values: Tensor) -> Tensor:
        return ops.cast(ops.round(values) if self.dtype != "bool" else values, self.dtype)


def in_order(inputs: Any, specs: Sequence[Any], model: str) -> list:
    """The inputs in the order of the model, from a list or a dict; ValueError, with the names, for any other."""
    names = [spec.name for spec in specs]
    if len(specs) == 1 and not isinstance(inputs, Mapping):
        return [inputs]
    if isinstance(inputs, Mapping):
        if set(inputs) != set(names):
            got = ", ".join(map(str, inputs)) or "none"
            raise ValueError(f"{model!r} has the inputs {', '.join(names)}, got {got}")
        return [inputs[name] for name in names]
    if not isinstance(inputs, (list, tuple)) or len(inputs) != len(names):
        got = f"{len(inputs)} arrays" if isinstance(inputs, (list, tuple)) else f"a {type(inputs).__name__}"
        raise ValueError(f"{model!r} has the inputs {', '.join(names)}; pass a list or a dict of them, got {got}")
    return list(inputs)


def _columns(array: Array, part: Part) -> Array:
    """An input as float32 columns (N, size); ValueError if it does not fit."""
    expected = (part.shape[-1], *part.shape[:-1]) if part.is_channels_first else part.shape
    if array.dtype.kind not in "iufb":
        raise ValueError(f"input {part.name!r} of type {array.dtype} is not numeric")
    if array.shape[1:] != expected:
        taken = (None, *expected)
        raise ValueError(f"input {part.name!r} of shape {array.shape} does not fit; the model takes {taken}")
    if part.is_channels_first:
        array = np.moveaxis(array, 1, -1)
    if array.dtype.kind in "iu" and array.size and np.abs(array.astype("float64")).max() > LARGEST_INTEGER:
        raise ValueError(f"input {part.name!r} has integers beyond {LARGEST_INTEGER:,}, which float32 cannot hold")
    with np.errstate(over="ignore"):
        columns = array.reshape(len(array), part.stop - part.start).astype("float32")
    finite = np.isfinite(columns).all(axis=1)
    if not finite.all():
        raise ValueError(f"input {part.name!r} of example {int(np.argmin(finite))} contains NaN or Inf")
    return columns


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
