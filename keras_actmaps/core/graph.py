"""Graph: a model as a flat list of nodes on the model's own weights, run forward or backward."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import keras
from keras import ops, tree

from keras_actmaps.core._keras_compat import SymbolicArguments, keep_mask, takes_training
from keras_actmaps.core.types import Slot, Tensor


@dataclass(frozen=True, eq=False)
class Node:
    """One call of a layer or an operation.

    Attributes
    ----------
    path : str
        Name of the layer, preceded by those of the enclosing models: `resnet50/conv1_conv`.
    operation : callable
        The Keras layer, operation or activation function.
    arguments : SymbolicArguments
        Positional and keyword arguments of the call, with symbols for tensors.
    reads : mapping of int to int
        Slot of each tensor that is read, by the id of its symbol.
    writes : tuple of int
        Slots of the outputs.
    """

    path: str
    operation: Any
    arguments: SymbolicArguments
    reads: Mapping[int, Slot]
    writes: tuple[Slot, ...]

    @property
    def floating(self) -> tuple[Slot, ...]:
        """The slots of the floating tensors that are read: not those of masks and indices."""
        if isinstance(self.operation, keras.layers.Embedding):
            return ()  # whose indices may be of any dtype
        symbols = {id(symbol): symbol for symbol in self.arguments.keras_tensors}
        return tuple(slot for key, slot in self.reads.items() if is_floating(symbols[key].dtype))

    def __call__(self, values: Mapping[Slot, Tensor], operation: Callable | None = None) -> Any:
        """Run at inference on the tensors in `values`; outputs of bfloat16 layers are cast to float32."""
        tensors = {symbol: values[slot] for symbol, slot in self.reads.items()}
        args, kwargs = self.arguments.fill_in(tensors)
        if takes_training(self.operation):
            kwargs = {**kwargs, "training": False}
        outputs = (operation or self.operation)(*args, **kwargs)
        if getattr(self.operation, "compute_dtype", "float32") != "bfloat16":
            return outputs
        return tree.map_structure(lambda output: keep_mask(ops.cast(output, "float32"), output), outputs)


@dataclass(frozen=True, eq=False)
class Graph:
    """A traced model.

    Attributes
    ----------
    nodes : tuple of Node
        In an order in which they can run.
    inputs : tuple of int
        Slots of the model's inputs.
    outputs : structure of int
        Slots of the outputs, in the structure of the model's outputs.
    slot_of : mapping of str to int
        Slot of each layer's last output by path, nested models included.
    shapes : mapping of int to tuple
        Shape of each slot, None for unknown dimensions.
    output_activations : tuple of callable or None
        For each output, the softmax or sigmoid that was removed; () if none was.
    is_opaque : bool
        True for a subclassed model that could not be traced: one node without inner layers.
    in_training, random, stateful : tuple of str
        Paths of the layers that the model calls with `training=True`, of those that are random at inference, and of
        recurrent layers that start from the states of their last call in the model, but from zeros in the graph.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[Slot, ...]
    outputs: Any
    slot_of: Mapping[str, Slot]
    shapes: Mapping[Slot, tuple]
    is_opaque: bool = False
    output_activations: tuple[Callable | None, ...] = ()
    in_training: tuple[str, ...] = ()
    random: tuple[str, ...] = ()
    stateful: tuple[str, ...] = ()

    def descendants(self, slots: Iterable[Slot]) -> tuple[Node, ...]:
        """The nodes that depend on any of `slots`."""
        reached, nodes = set(slots), []
        for node in self.nodes:
            if reached.intersection(node.reads.values()):
                reached.update(node.writes)
                nodes.append(node)
        return tuple(nodes)

    def ancestors(self, slots: Iterable[Slot]) -> tuple[Node, ...]:
        """The nodes on which any of `slots` depends."""
        return ancestors(self.nodes, slots)

    def producer(self, slot: Slot) -> Node | None:
        """The node that writes `slot`; None for an input."""
        return next((node for node in self.nodes if slot in node.writes), None)


def only_output(outputs: Any) -> Any:
    """The output of a model that has one, also in a list or dict of one; other structures as they are."""
    parts = tree.flatten(outputs)
    return parts[0] if len(parts) == 1 else outputs


def symbolic_outputs(graph: Graph) -> Any:
    """The outputs as symbolic tensors, in the structure of the model's outputs; None if a shape is unknown."""
    if graph.is_opaque or not all(slot in graph.shapes for slot in tree.flatten(graph.outputs)):
        return None
    return tree.map_structure(lambda slot: keras.KerasTensor(graph.shapes[slot]), graph.outputs)


def is_floating(dtype: Any) -> bool:
    """Whether a dtype, by name or as an attribute of a tensor, is a floating type."""
    return "float" in str(dtype)


def carrying(graph: Graph) -> list[Node]:
    """The nodes on paths of floating tensors to the outputs: not those that compute or look up masks and indices."""
    reached: set[Slot] = set(tree.flatten(graph.outputs))
    nodes = []
    for node in reversed(graph.nodes):
        if reached.intersection(node.writes) and node.floating:
            reached.update(node.floating)
            nodes.append(node)
    return nodes[::-1]


def check_inputs_reached(graph: Graph, method: str) -> None:
    """ValueError for a graph whose outputs depend on its inputs as indices or masks only, as behind an Embedding."""
    if not any(slot in graph.inputs for node in carrying(graph) for slot in node.floating):
        raise ValueError(
            f"{method} has no path from the outputs back to the inputs, which are indices or masks; occlusion and "
            "kernel_shap need none"
        )


def masked(slots: Iterable[Slot], tensors: Iterable[Tensor], values: Mapping[Slot, Tensor]) -> dict[Slot, Tensor]:
    """Other tensors for some slots, with the masks of those in `values`."""
    return {slot: keep_mask(tensor, values[slot]) for slot, tensor in zip(slots, tensors)}


def ancestors(nodes: Iterable[Node], slots: Iterable[Slot]) -> tuple[Node, ...]:
    """The subset of `nodes` on which any of `slots` depends."""
    needed, kept = set(slots), []
    for node in reversed(list(nodes)):
        if needed.intersection(node.writes):
            needed.update(node.reads.values())
            kept.append(node)
    return tuple(reversed(kept))


def run_nodes(
    nodes: Iterable[Node], values: Mapping[Slot, Tensor], shifts: Mapping[Slot, Tensor] = MappingProxyType({})
) -> dict[Slot, Tensor]:
    """Run nodes forward.

    Parameters
    ----------
    nodes : iterable of Node
        In an order in which they can run.
    values : mapping of int to tensor
        Tensors of the slots that are already known.
    shifts : mapping of int to tensor
        Tensors that are added to a slot as soon as it is known. The gradient at a zero shift is the gradient at the
        slot, whether or not the slot cuts the graph in two.

    Returns
    -------
    dict of int to tensor
        `values` and the tensors written by the nodes.
    """
    values = {
        slot: keep_mask(value + shifts[slot], value) if slot in shifts else value for slot, value in values.items()
    }
    for node in nodes:
        outputs = tree.flatten(node(values))
        for slot, value in zip(node.writes, outputs, strict=True):
            values[slot] = keep_mask(value + shifts[slot], value) if slot in shifts else value
    return values


def run_backward(nodes: Iterable[Node], arrived: Mapping[Slot, Any], rule: Callable) -> dict[Slot, Any]:
    """Propagate values backward: those at a node's outputs are distributed to its inputs and summed there.

    Parameters
    ----------
    nodes : iterable of Node
        In forward order.
    arrived : mapping of int to tensor
        The values to start from, such as the relevance of the outputs.
    rule : callable
        `(node, list) -> list`: from the values at the slots that the node writes (None where nothing has arrived) to
        the value for each slot that it reads, or None. Nodes at which nothing has arrived are skipped.

    Returns
    -------
    dict of int to tensor
        The sum of the values that have arrived at each slot.
    """
    arrived = dict(arrived)
    for node in reversed(list(nodes)):
        at_outputs = [arrived.get(slot) for slot in node.writes]
        if any(part is not None for part in at_outputs):
            for slot, part in zip(node.reads.values(), rule(node, at_outputs), strict=True):
                if part is not None:
                    arrived[slot] = arrived[slot] + part if slot in arrived else part
    return arrived


def single_input_node(path: str, operation: Callable, read: Slot, writes: tuple[Slot, ...], shapes: Mapping) -> Node:
    """The node that calls `operation` on one tensor."""
    return make_node(path, operation, read, writes, shapes)


def make_node(path: str, operation: Callable, reads: Any, writes: tuple[Slot, ...], shapes: Mapping) -> Node:
    """The node that calls `operation` on the tensors of a slot, or of a list of slots."""
    slots = tree.flatten(reads)
    symbols = [keras.KerasTensor(shapes[slot]) for slot in slots]
    arguments = SymbolicArguments(tree.pack_sequence_as(reads, symbols))
    return Node(path, operation, arguments, dict(zip(map(id, symbols), slots)), writes)
