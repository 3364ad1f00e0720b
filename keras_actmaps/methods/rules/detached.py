"""LRP for transformers: gradient x input of a network in which scales, activations and attention are constants.

Each layer is an affine function of its inputs, exact at these: normalization with its scale held, an activation as a
factor, a product with one factor held. Where all layers are, the score is the sum of gradient x input and of all biases
times their gradients.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from keras import ops, tree

from keras_actmaps import backend
from keras_actmaps.core.attention import PRODUCTS
from keras_actmaps.core.graph import Graph, Node, carrying, masked, run_backward
from keras_actmaps.core.layer_types import describe_node, gates_of, layer_type, operation_name
from keras_actmaps.core.linear import Linear
from keras_actmaps.core.normalizers import normalizer
from keras_actmaps.core.types import Slot, Tensor
from keras_actmaps.methods.rules.lrp_rules import LayerState, Parameters, propagate

DETACHED = ("cp", "attnlrp")  # composites
OF_KERNELS = ("epsilon", "gamma", "alpha-beta", "z+", "flat", "w²", "w^2")  # rules that need no range of the inputs
QUOTIENTS = ("Divide", "TrueDivide")


@dataclass(frozen=True)
class Detached:
    """A linearized graph with constants.

    Attributes
    ----------
    graph : Graph
    composite : {"cp", "attnlrp"}
        "cp" holds the probabilities of attention; "attnlrp" has their gradient, and halves products.
    rule : str or None
        A rule for all layers with a kernel instead of their gradient.
    parameters : Parameters
        Of that rule.
    """

    graph: Graph
    composite: str
    rule: str | None
    parameters: Parameters

    @cached_property
    def constants(self) -> set[Slot]:
        """The slots that do not depend on the inputs, or only through attention that is held."""
        varying = set(self.graph.inputs)
        for node in self.graph.nodes:
            is_held = self.composite == "cp" and operation_name(node.operation).lower() == "softmax"
            if varying.intersection(node.floating) and not is_held:
                varying.update(node.writes)
        return {slot for node in self.graph.nodes for slot in node.writes} - varying

    def check(self) -> None:
        """ValueError for a layer that is not affine with constants."""
        for node in carrying(self.graph):
            if layer_type(node) == "recurrent":
                raise ValueError(
                    f"composite {self.composite!r} has no rule for the recurrent layer {describe_node(node)}; "
                    "composite='epsilon_plus' has"
                )

    def gradients(self, values: Mapping[Slot, Tensor], start: Mapping[Slot, Tensor]) -> dict[Slot, Tensor]:
        """The gradients at every slot, from those at the outputs; values: the tensors of all slots."""
        carried = set(map(id, carrying(self.graph)))

        def visit(node: Node, arrived: list) -> list:
            slots = self._varying(node)
            if id(node) not in carried or not slots:
                return [None] * len(node.reads)
            arrived = [ops.zeros_like(values[slot]) if g is None else g for slot, g in zip(node.writes, arrived)]
            if self.rule is not None and isinstance(node.operation, Linear):
                parts = [self._by_rule(node, self.rule, values, arrived[0])]
            else:
                parts = backend.vjp(self.affine(node, values), [values[slot] for slot in slots])[1](arrived)
            of_slot = dict(zip(slots, parts))
            return [of_slot.get(slot) for slot in node.reads.values()]

        return run_backward(self.graph.nodes, start, visit)

    def biases(self, values: Mapping[Slot, Tensor], gradients: Mapping[Slot, Tensor]) -> Tensor:
        """The sum (N,) of the constants of all layers, their outputs where their inputs are 0, times the gradients."""
        total, count = 0.0, values[self.graph.inputs[0]].shape[0]
        for node in carrying(self.graph):
            slots = self._varying(node)
            if slots and any(slot in gradients for slot in node.writes):
                constants = self.affine(node, values)(*(ops.zeros_like(values[slot]) for slot in slots))
                for slot, constant in zip(node.writes, constants):
                    if slot in gradients:
                        total = total + _sum(gradients[slot] * constant, self.graph.shapes[slot], count)
        return total

    def affine(self, node: Node, values: Mapping[Slot, Tensor]) -> Callable:
        """A node as an affine function `(*inputs) -> list` of the tensors that vary, exact at their values."""
        kind, slots = layer_type(node), self._varying(node)
        if kind == "normalization":
            held = normalizer(node.operation, tuple(values[slots[0]].shape)).with_constant_scale(values[slots[0]])
            return lambda x: [held(x)]
        if kind == "activation" and len(slots) == 1:
            return _as_factor(node, values, slots[0])
        factors = self._factors(node, kind) if len(slots) == 2 else None
        if factors is None:
            return lambda *inputs: _run(node, values, masked(slots, inputs, values))
        return lambda *inputs: _shared(node, values, masked(slots, inputs, values), factors)

    def _factors(self, node: Node, kind: str | None) -> dict[Slot, float] | None:
        """The share of each factor of a product or quotient of two tensors that vary; None for other nodes."""
        first, second = self._varying(node)
        name = operation_name(node.operation)
        if name in QUOTIENTS:
            return {first: 1.0, second: 0.0}
        if kind == "product":
            gates = dict(zip(node.reads.values(), gates_of(self.graph, node)))
            return {slot: float(not gate) if any(gates.values()) else 0.5 for slot, gate in gates.items()}
        return {first: 0.5, second: 0.5} if name in PRODUCTS else None

    def _varying(self, node: Node) -> tuple[Slot, ...]:
        """The slots of the floating tensors that a node reads and that depend on the inputs."""
        return tuple(dict.fromkeys(slot for slot in node.floating if slot not in self.constants))

    def _by_rule(self, node: Node, rule: str, values: Mapping[Slot, Tensor], gradient: Tensor) -> Tensor:
        """The gradient before a layer with a kernel as relevance by a rule, divided by the input."""
        read = next(iter(node.reads.values()))
        x, y = values[read], values[node.writes[0]]
        kernel, bias = node.operation.weights(x)
        state = LayerState(x, kernel, bias, y, x, x)
        return ops.divide_no_nan(propagate(node.operation, state, gradient * y, rule, self.parameters), x)


def kernel_rule(rule: str | int | None) -> str | None:
    """The rule for layers with a kernel as the user passed it; None for their gradient, which is rule 0."""
    if rule in (None, 0, "0"):
        return None
    if rule not in OF_KERNELS:
        raise ValueError(
            f"rule for a composite of transformers must be one of 0, {', '.join(OF_KERNELS)}, got {rule!r}"
        )
    return str(rule)


def _as_factor(node: Node, values: Mapping[Slot, Tensor], slot: Slot) -> Callable:
    """An activation as x stop((f(x) - f(0)) / x) + f(0); f(0) is 0 for most."""
    x, y = values[slot], values[node.writes[0]]
    (at_zero,) = _run(node, values, {slot: ops.zeros_like(x)})
    factor = ops.divide_no_nan(y - at_zero, x)
    return lambda v: [v * factor + at_zero]


def _shared(node: Node, values: Mapping[Slot, Tensor], inputs: Mapping, factors: Mapping[Slot, float]) -> list:
    """A product as the sum of its shares, in each of which one factor varies and the other one is held."""
    held = {slot: ops.stop_gradient(values[slot]) for slot in factors}  # which may be the tensors of `inputs`
    parts = [
        [share * part for part in _run(node, values, {**held, slot: inputs[slot]})]
        for slot, share in factors.items()
        if share
    ]
    return [sum(part[1:], part[0]) for part in zip(*parts)]


def _run(node: Node, values: Mapping[Slot, Tensor], inputs: Mapping[Slot, Tensor]) -> list:
    """The outputs of a node with other tensors at some of its slots."""
    return tree.flatten(node({**values, **inputs}))


def _sum(values: Tensor, shape: tuple, count: int) -> Tensor:
    """The sum for each of `count` inputs, also of windows as a batch, or of tokens before the batch (T, N, D)."""
    axis = shape.index(None) if None in shape else 0
    return ops.sum(ops.reshape(ops.moveaxis(values, axis, 0), (count, -1)), axis=1)
