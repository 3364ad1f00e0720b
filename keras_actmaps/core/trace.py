"""Tracing: the graph of a Keras model, with nested models flattened.

Functional and Sequential models have a graph already; a subclassed model is traced by calling its `call` on a symbolic
tensor, if it uses Keras operations only.
"""

import itertools
import re
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
from keras import tree

from keras_actmaps.core._keras_compat import (
    InputSpec,
    SymbolicArguments,
    call_arguments,
    call_takes_training,
    fill_specs,
    flat_specs,
    input_structure,
    ordered_nodes,
    output_structure,
    producing_node,
    symbolic_function,
)
from keras_actmaps.core.composite import (
    Composite,
    ReadVariable,
    at_any_batch_size,
    composite_function,
    is_fused_attention,
    masks_to_carry,
)
from keras_actmaps.core.graph import Graph, Node
from keras_actmaps.core.random_layers import is_random, trains
from keras_actmaps.core.recurrent import is_stateful, stateless
from keras_actmaps.core.rewrite import in_float32
from keras_actmaps.core.trace_call import traced_call
from keras_actmaps.core.two_batches import merged_shape
from keras_actmaps.core.types import Slot


def trace_model(model: keras.Model, shapes: Sequence[tuple] | None = None) -> Graph:
    """The graph of a built model; ValueError for a model without weights.

    shapes: of one example of each input, for a subclassed model; None for those that the model was built for.
    """
    function = symbolic_function(model) or _traced_call(model, shapes)
    return _opaque_graph(model, shapes) if function is None else Tracer(itertools.count()).trace(model, function)


class Tracer:
    """Collects the nodes of a function and of the models nested in it, whose slots are the numbers of `slots`."""

    def __init__(self, slots: Iterator[Slot]) -> None:
        self.slots = slots
        self.nodes: list[Node] = []
        self.slot_of: dict[str, Slot] = {}
        self.shapes: dict[Slot, tuple] = {}
        self.in_training: dict[str, None] = {}  # an ordered set of paths
        self.stateful: dict[str, None] = {}
        self.calls: Counter = Counter()  # by numbered path, how often a layer was called
        self.calls_of: dict[str, dict[str, Slot]] = {}  # by path, the slot of each call by its numbered path

    def trace(self, model: keras.Model, function: keras.Function) -> Graph:
        inputs = [self._new_slot(tensor) for tensor in function.inputs]
        written = self.walk(function, inputs, "", "")
        outputs = tree.pack_sequence_as(output_structure(function), written)
        containers = getattr(model, "containers", {})
        self.slot_of |= {path: self.slot_of[last] for path, last in containers.items()}
        repeated = [calls for calls in self.calls_of.values() if len(calls) > 1]
        self.slot_of |= {self._call_path(call): slot for calls in repeated for call, slot in calls.items()}
        is_opaque = getattr(model, "is_opaque", False)
        random = tuple(dict.fromkeys(node.path for node in self.nodes if is_random(node)))
        return Graph(
            *(tuple(self.nodes), tuple(inputs), outputs, self.slot_of, self.shapes, is_opaque),
            in_training=tuple(self.in_training),
            random=random,
            stateful=tuple(self.stateful),
        )

    def _call_path(self, numbered: str) -> str:
        """A numbered path with the numbers of layers that are called more than once: `encoder@1/conv`."""
        parts, before = [], ""
        for part in numbered.split("/"):
            name = part.rpartition("@")[0]
            parts.append(part if self.calls[before + name] > 1 else name)
            before += part + "/"
        return "/".join(parts)

    def _new_slot(self, tensor: keras.KerasTensor) -> Slot:
        slot = next(self.slots)
        self.shapes[slot] = merged_shape(tensor)
        return slot

    def walk(
        self, function: keras.Function, inputs: list[Slot], prefix: str, numbered: str, is_layer: bool = False
    ) -> list[Slot]:
        """Append the nodes of a function that reads `inputs`; returns the slots of its outputs.

        prefix: the path of the function. numbered: the same with the number of the call of each model in it, by which
        `encoder@1/conv` finds a layer in the second call of a shared model. is_layer: whether it is the `call` of a
        layer, whose operations are numbered by themselves: `block/add`, `block/add_1`.
        """
        scope = dict(zip(map(id, function.inputs), inputs))
        names = _step_names(function, is_layer)
        for node in ordered_nodes(function):
            if node.is_input or any(id(tensor) not in scope for tensor in node.input_tensors):
                continue
            reads = {id(tensor): scope[id(tensor)] for tensor in node.input_tensors}
            name = names[id(node)]
            path, name = prefix + name, numbered + name
            call = f"{name}@{self.calls[name]}"
            self.calls[name] += 1
            if trains(node.operation, node.arguments):
                self.in_training[path] = None
            operation = at_any_batch_size(in_float32(node.operation)) if is_layer else in_float32(node.operation)
            if is_stateful(operation):
                self.stateful[path] = None
                operation = stateless(operation)
            step = Node(path, operation, node.arguments, reads, tuple(range(len(node.outputs))))
            inside = _inside(step, self._carried(step, scope))
            if inside is not None:
                inner, keys = inside.function, inside.keys
                variables = [self._variable(f"{path}/{name}", one) for name, one in inside.variables.items()]
                below = prefix if is_fused_attention(node.operation) else path + "/"
                is_model = isinstance(node.operation, keras.Model)
                written = self.walk(inner, [*(scope[key] for key in keys), *variables], below, call + "/", not is_model)
            else:
                written = [self._new_slot(tensor) for tensor in node.outputs]
                self.nodes.append(replace(step, writes=tuple(written)))
            self.slot_of[path] = written[-1]
            self.calls_of.setdefault(path, {})[call] = written[-1]
            scope.update(zip(map(id, node.outputs), written))
        return [scope[id(tensor)] for tensor in function.outputs]

    def _variable(self, path: str, variable: Any) -> Slot:
        """The slot of a variable's current value, read by a node without inputs."""
        slot = self._new_slot(variable)
        self.nodes.append(Node(path, ReadVariable(variable), SymbolicArguments(), {}, (slot,)))
        return slot

    def _carried(self, step: Node, scope: dict[int, Slot]) -> list[keras.KerasTensor]:
        """The masks that a composite layer gets beside its arguments, computed by nodes of the graph."""
        masks = masks_to_carry(step)
        return masks if all(self._computed(mask, scope, step.path) for mask in masks) else []

    def _computed(self, mask: keras.KerasTensor, scope: dict[int, Slot], path: str) -> bool:
        """Append the nodes that compute a mask from the tensors in scope; False if these are not enough."""
        if id(mask) in scope:
            return True
        made = producing_node(mask)
        if made is None or not all(self._computed(tensor, scope, path) for tensor in made.input_tensors):
            return False
        written = [self._new_slot(tensor) for tensor in made.outputs]
        reads = {id(tensor): scope[id(tensor)] for tensor in made.input_tensors}
        self.nodes.append(Node(f"{path}.mask", made.operation, made.arguments, reads, tuple(written)))
        scope.update(zip(map(id, made.outputs), written))
        return True


def input_specs_of(model: keras.Model) -> list[InputSpec]:
    """Names, shapes and dtypes of a model's inputs, in the order of the graph's; ValueError if they are unknown."""
    return flat_specs(structure_of(model))


def structure_of(model: keras.Model) -> Any:
    """The inputs of a model, as `InputSpec` in their structure; ValueError if they are unknown."""
    if not model.built:
        raise ValueError(f"{model.name!r} has no weights yet; build it or call it on an image first")
    structure = input_structure(model)
    if structure is None:
        raise ValueError(f"the input shape of {model.name!r} is not known; call it on an image first")
    return structure


def _inside(node: Node, masks: Sequence[keras.KerasTensor]) -> Composite | None:
    """The function behind a nested model or a composite layer, and the ids of the symbols that it reads."""
    if not isinstance(node.operation, keras.Model):
        return composite_function(node, masks)
    own = symbolic_function(node.operation)
    if own is not None:
        keys = [id(tensor) for tensor in tree.flatten(node.arguments.args) if id(tensor) in node.reads]
        return Composite(own, keys, {})
    read = node.arguments.keras_tensors
    symbols = {id(tensor): keras.KerasTensor(tensor.shape, tensor.dtype) for tensor in read}
    function = traced_call(node.operation, *node.arguments.fill_in(symbols))
    return None if function is None else Composite(function, list(map(id, read)), {})


def _step_names(function: keras.Function, is_layer: bool) -> dict[int, str]:
    """The name of each step of a function by the id of its node; `is_layer` as in `Tracer.walk`."""
    counts: Counter = Counter()
    names = {}
    for node in ordered_nodes(function):
        name = node.operation.name
        if is_layer and not isinstance(node.operation, keras.layers.Layer):
            kind = re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", type(node.operation).__name__).lower()
            name = f"{kind}_{counts[kind]}" if counts[kind] else kind
            counts[kind] += 1
        names[id(node)] = name
    return names


def _traced_call(model: keras.Model, shapes: Sequence[tuple] | None = None) -> keras.Function | None:
    """The `call` of a subclassed model as a Keras function; None if it cannot be traced."""
    return traced_call(model, call_arguments(model, _symbols(structure_of(model), shapes)), {})


def _symbols(structure: Any, shapes: Sequence[tuple] | None) -> Any:
    """Symbolic inputs in the structure of a model's inputs; shapes: of one example of each, or None for its own."""
    specs: list[InputSpec] = flat_specs(structure)
    unknown = [spec.name for spec in specs if not spec.shape]
    if unknown and not shapes:
        raise ValueError(
            f"the shape of input {unknown[0]!r} is not known; pass Probe as `shape` those of one example of each input"
        )
    found = [(None, *shape) for shape in shapes] if shapes else [spec.shape for spec in specs]
    return fill_specs(structure, (keras.KerasTensor(shape, spec.dtype) for shape, spec in zip(found, specs)))


def _opaque_graph(model: keras.Model, shapes: Sequence[tuple] | None = None) -> Graph:
    """A model as a single node with a weak reference to it, so that a cached graph does not keep the model alive."""
    inputs = _symbols(structure_of(model), shapes)
    symbols = tree.flatten(inputs)
    reference: Callable[[], Any] = weakref.ref(model)
    training = {"training": False} if call_takes_training(model) else {}

    def call(inputs: Any) -> Any:
        return reference()(*call_arguments(reference(), inputs), **training)

    slots = range(len(symbols))
    reads = {id(symbol): slot for slot, symbol in zip(slots, symbols)}
    node = Node(model.name, call, SymbolicArguments(inputs), reads, (len(symbols),))
    shapes_of = {slot: symbol.shape for slot, symbol in zip(slots, symbols)}
    random = (model.name,) if is_random(node) else ()
    return Graph((node,), tuple(slots), len(symbols), {}, shapes_of, is_opaque=True, random=random)
