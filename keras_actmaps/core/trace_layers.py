"""Custom layers, Lambda and nested models as the operations that their `call` runs."""

import inspect
import itertools
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import tree

from keras_actmaps import backend
from keras_actmaps.core._keras_compat import call_takes_training, symbolic_function
from keras_actmaps.core.expand import Rearranged, expand_wrappers, over_time
from keras_actmaps.core.graph import Graph, Node, single_input_node
from keras_actmaps.core.plain_layers import OWN_MODULES, is_plain
from keras_actmaps.core.trace import Tracer
from keras_actmaps.core.types import Slot

_expanded: weakref.WeakKeyDictionary[Graph, Graph] = weakref.WeakKeyDictionary()


def expand_custom_layers(graph: Graph, is_step: Callable[[Node, Mapping], bool]) -> Graph:
    """The graph with each custom layer as the operations of its `call`, where these can be traced.

    Layers inside it are expanded as well, as are Lambda layers, and TimeDistributed around any of these. A layer stays
    a single node where it is a step by itself, where it cannot be traced, or where the trace returns other values.

    is_step: of a node and the shapes of the slots; the same for all calls with one graph, which are cached.
    """
    if graph not in _expanded:
        graph_of_wrapped = expand_wrappers(graph)
        shapes = dict(graph_of_wrapped.shapes)
        nodes = [part for node in graph_of_wrapped.nodes for part in _parts(node, shapes, is_step)]
        _expanded[graph] = replace(graph, nodes=tuple(nodes), shapes=shapes)
    return _expanded[graph]


def _parts(node: Node, shapes: dict[Slot, tuple], is_step: Callable) -> list[Node]:
    """A node, or the nodes that it stands for."""
    if is_step(node, shapes):
        return [node]
    if _is_wrapped(node, shapes):
        nodes: list[Node] | None = over_time(node, shapes)
    else:
        nodes = _traced(node, shapes) if is_custom(node.operation) else None
    return [node] if nodes is None else [part for one in nodes for part in _parts(one, shapes, is_step)]


def is_custom(operation: Any) -> bool:
    """Whether this is a layer with a `call` that is not Keras' own, a Lambda, or a model."""
    is_layer = isinstance(operation, keras.layers.Layer)
    return is_layer and (
        isinstance(operation, (keras.layers.Lambda, keras.Model))
        or not type(operation).call.__module__.startswith(OWN_MODULES)
    )


def _is_wrapped(node: Node, shapes: Mapping) -> bool:
    """Whether this is TimeDistributed around a custom layer that takes no mask."""
    layer = node.operation
    if not is_plain(layer, (keras.layers.TimeDistributed,)) or len(node.reads) != 1 or len(node.writes) != 1:
        return False
    sizes = (*shapes[next(iter(node.reads.values()))][1:], *shapes[node.writes[0]][1:])
    return is_custom(layer.layer) and not _takes_mask(layer.layer) and None not in sizes


def _takes_mask(layer: Any) -> bool:
    return not isinstance(layer, keras.Model) and "mask" in inspect.signature(layer.call).parameters


def _traced(node: Node, shapes: dict[Slot, tuple]) -> list[Node] | None:
    """The operations of one layer, from the slots that it reads to those that it writes; None if it has no trace."""
    symbols = {
        id(symbol): keras.KerasTensor(shapes[node.reads[id(symbol)]], symbol.dtype)
        for symbol in node.arguments.keras_tensors
    }
    function = symbolic_function(node.operation) if isinstance(node.operation, keras.Model) else None
    reads = [node.reads[key] for key in symbols]
    if function is None:
        if _takes_mask(node.operation):
            return None
        function = _traced_call(node, symbols)
    if function is None:
        return None
    tracer = Tracer(itertools.count(1 + max(shapes)))
    written = tracer.walk(function, reads, f"{node.path}/", f"{node.path}/")
    shapes |= tracer.shapes
    outputs = zip(written, node.writes, strict=True)
    same = Rearranged(lambda x: x)
    return tracer.nodes + [single_input_node(node.path, same, slot, (write,), shapes) for slot, write in outputs]


def _traced_call(node: Node, symbols: Mapping[int, keras.KerasTensor]) -> keras.Function | None:
    """The `call` of a layer as a function of the tensors that it reads; None where it has no equal trace."""
    training = {"training": False} if call_takes_training(node.operation) else {}
    args, kwargs = node.arguments.fill_in(dict(symbols))
    try:
        function = keras.Function(list(symbols.values()), node.operation.call(*args, **{**kwargs, **training}))
    except Exception:  # any error of the user's code on symbolic tensors means that it cannot be traced
        return None
    return function if _equals(function, node, symbols) else None


def _equals(function: keras.Function, node: Node, symbols: Mapping[int, keras.KerasTensor]) -> bool:
    """Whether the trace returns what the layer returns, for random values of a batch of 3."""
    random = np.random.default_rng(0)
    shapes = [(3, *(4 if side is None else side for side in symbol.shape[1:])) for symbol in symbols.values()]
    arrays = [random.normal(size=shape).astype("float32") for shape in shapes]
    tensors = [keras.ops.cast(array, symbol.dtype) for array, symbol in zip(arrays, symbols.values())]
    values = {node.reads[key]: tensor for key, tensor in zip(symbols, tensors)}
    try:
        with backend.eager_scope():
            pair = [list(map(backend.to_numpy, tree.flatten(one))) for one in (function(tensors), node(values))]
    except Exception:  # any error of the user's code on random values means that the trace cannot be checked
        return False
    found, expected = pair
    return len(found) == len(expected) and all(
        one.shape == other.shape and np.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True)
        for one, other in zip(found, expected)
    )
