"""The rules of layer-wise relevance propagation for layers without a kernel, by name: NODE_RULES."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from keras import ops, tree

from keras_actmaps import backend
from keras_actmaps.core.graph import Graph, Node, masked
from keras_actmaps.core.layer_types import gates_of
from keras_actmaps.core.normalizers import normalizer
from keras_actmaps.core.types import Slot, Tensor
from keras_actmaps.methods.rules.lrp_rules import Parameters, ratio


@dataclass(frozen=True)
class Passage:
    """Relevance that has arrived at the outputs of a node, and what a rule may need to pass it on.

    Attributes
    ----------
    graph, node
        The node, and the graph that it belongs to.
    values : mapping of int to tensor
        The tensors of all slots in a forward pass.
    relevance : list of tensor
        One for each slot that the node writes.
    rule, parameters
        The name of the rule, and the parameters of all rules.
    """

    graph: Graph
    node: Node
    values: Mapping[Slot, Tensor]
    relevance: list
    rule: str
    parameters: Parameters

    @property
    def floating(self) -> list[Tensor]:
        """The floating tensors that the node reads, to which relevance can be passed."""
        return [self.values[slot] for slot in self.node.floating]

    @property
    def outputs(self) -> list[Tensor]:
        return [self.values[slot] for slot in self.node.writes]

    def to_reads(self, parts: Sequence) -> list:
        """Parts for the floating tensors as a list for all slots that the node reads, None for masks."""
        of_slot = dict(zip(self.node.floating, parts))
        return [of_slot.get(slot) for slot in self.node.reads.values()]

    def vjp(self, relevance: Sequence) -> list:
        """Cotangents of the outputs as those of the floating tensors that the node reads."""
        return backend.vjp(floating_function(self.node, self.values), self.floating)[1](relevance)


def floating_function(node: Node, values: Mapping[Slot, Tensor]) -> Callable:
    """A node as a function of the floating tensors that it reads; masks keep their values."""
    slots = node.floating
    return lambda *inputs: tree.flatten(node({**values, **masked(slots, inputs, values)}))


def unchanged(passage: Passage) -> list:
    """Relevance stays where it is."""
    return passage.to_reads(passage.relevance)


def along_gradient(passage: Passage) -> list:
    """Relevance follows the gradient, as it does through a maximum or a permutation."""
    return passage.to_reads(passage.vjp(passage.relevance))


def by_share(passage: Passage) -> list:
    """z_ij = x_i dy_j/dx_i, with the stabilizer of rule epsilon."""
    epsilon = passage.parameters.epsilon if passage.rule == "epsilon" else 0.0
    parts = passage.vjp([ratio(part, y, epsilon) for part, y in zip(passage.relevance, passage.outputs)])
    return passage.to_reads([x * part for x, part in zip(passage.floating, parts)])


def to_signal(passage: Passage) -> list:
    """All relevance of a product to its signal and none to its gate; half to each factor if neither is a gate."""
    gates = gates_of(passage.graph, passage.node)
    shares = [float(not gate) for gate in gates] if any(gates) else [0.5, 0.5]
    return passage.to_reads(
        [passage.relevance[0] * share if share else ops.zeros_like(x) for x, share in zip(passage.floating, shares)]
    )


def with_constant_scale(passage: Passage) -> list:
    """z_ij of y = gamma (x - mean) s + beta with the scale s of the input as a constant (Ali et al. 2022)."""
    (x,), (y,), (relevance,) = passage.floating, passage.outputs, passage.relevance
    affine = normalizer(passage.node.operation, tuple(x.shape)).with_constant_scale(x)
    z = y if passage.parameters.bias else y - affine(ops.zeros_like(x))
    _, backward = backend.vjp(lambda v: [affine(v)], [x])
    return passage.to_reads([x * backward([ratio(relevance, z, 0.0)])[0]])


def apply_user_rule(rule: Callable, node: Node, inputs: list, outputs: list, relevance: list) -> list:
    """Apply a user-defined rule, which takes single tensors, or lists if the layer has several."""
    single = [part[0] if len(part) == 1 else part for part in (inputs, outputs, relevance)]
    return tree.flatten(rule(node.operation, *single))


NODE_RULES = {
    "pass": unchanged,
    "route": along_gradient,
    "0": by_share,
    "epsilon": by_share,
    "gate": to_signal,
    "normalize": with_constant_scale,
}
