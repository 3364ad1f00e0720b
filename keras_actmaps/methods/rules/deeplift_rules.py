"""The rules of DeepLIFT: how multipliers pass backward through a node, by its type."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keras import ops, tree

from keras_actmaps import backend
from keras_actmaps.core.graph import Graph, Node, masked, run_backward, run_nodes
from keras_actmaps.core.layer_types import layer_type
from keras_actmaps.core.normalizers import normalizer
from keras_actmaps.core.recurrent import back_through_time, mask_of, roll_out, step_of
from keras_actmaps.core.types import Slot, Tensor

SMALL = 1e-6  # below this change of an activation's input, its gradient replaces the quotient
TOWARDS = 1e-4  # share of the way from baseline to input that breaks ties in the baseline


@dataclass(frozen=True)
class Change:
    """A node between two forward passes: that of the input, and that of the baseline (`references`)."""

    graph: Graph
    node: Node
    values: Mapping[Slot, Tensor]
    references: Mapping[Slot, Tensor]

    @property
    def inputs(self) -> tuple[list[Tensor], list[Tensor]]:
        """The floating tensors that the node reads, in both passes."""
        return [self.values[slot] for slot in self.node.floating], [
            self.references[slot] for slot in self.node.floating
        ]

    @property
    def outputs(self) -> tuple[list[Tensor], list[Tensor]]:
        return [self.values[slot] for slot in self.node.writes], [self.references[slot] for slot in self.node.writes]

    def vjp(self, inputs: list, multipliers: list) -> list:
        """Multipliers through the gradient of the node at `inputs`."""

        def function(*inputs: Tensor) -> list:
            return tree.flatten(self.node({**self.values, **masked(self.node.floating, inputs, self.values)}))

        return backend.vjp(function, inputs)[1](multipliers)


def propagate_multipliers(
    graph: Graph, values: Mapping, references: Mapping, multipliers: Mapping
) -> dict[Slot, Tensor]:
    """The multipliers of every slot from those of some slots."""

    def visit(node: Node, arrived: list) -> list:
        if not node.floating:  # masks and indices
            return [None] * len(node.reads)
        change = Change(graph, node, values, references)
        arrived = [ops.zeros_like(y) if m is None else m for y, m in zip(change.outputs[0], arrived)]
        found = layer_type(node)
        if found == "recurrent":
            return _through_steps(change, arrived)
        parts = RULES.get(found or "", by_gradient)(change, arrived)
        of_slot = dict(zip(node.floating, parts))
        return [of_slot.get(slot) for slot in node.reads.values()]

    return run_backward(graph.nodes, multipliers, visit)


def by_gradient(change: Change, multipliers: list) -> list:
    """The gradient at the midpoint, which is exact for linear layers and products."""
    return change.vjp(midpoints(*change.inputs), multipliers)


def rescale(change: Change, multipliers: list) -> list:
    """m (y - y0) / (x - x0), elementwise."""
    (x, x0), (y, y0) = ([part[0] for part in pair] for pair in (change.inputs, change.outputs))
    step = x - x0
    is_small = ops.abs(step) < SMALL
    quotient = multipliers[0] * (y - y0) / ops.where(is_small, 1.0, step)
    return [ops.where(is_small, by_gradient(change, multipliers)[0], quotient)]


def by_winner(change: Change, multipliers: list) -> list:
    """A rise of the maximum goes to the argmax of x, a fall to that of x0; ties in x0 are broken by x."""
    (x, x0), ((y,), (y0,)) = change.inputs, change.outputs
    near = [b + TOWARDS * (a - b) for a, b in zip(x, x0)]
    rises = change.vjp(x, [multipliers[0] * ops.maximum(y - y0, 0.0)])
    falls = change.vjp(near, [multipliers[0] * ops.minimum(y - y0, 0.0)])
    steps = [a - b for a, b in zip(x, x0)]
    return [(up + down) / ops.where(step == 0, 1.0, step) for up, down, step in zip(rises, falls, steps)]


def through_normalizer(change: Change, multipliers: list) -> list:
    """y = gamma d s + beta, with each change of d s shared exactly between d and the scale s = m^(-1/2).

    d s - d0 s0 = h (d - d0) + (s d + s0 d0) / (s + s0) (s - s0), with h = 2 s s0 / (s + s0), which stays accurate where
    a baseline without variance makes s0 large.
    """
    ((x,), (x0,)) = change.inputs
    layer = normalizer(change.node.operation, tuple(x.shape))
    d, d0 = (layer.center(layer.split(part)) for part in (x, x0))
    s, s0 = (layer.inverse(layer.second_moment(part)) for part in (d, d0))
    h = 2 * s / (1 + s / s0)
    arrived = layer.split(multipliers[0]) * layer.gamma
    at_moment = -(h**2) / 4 * ops.sum(arrived * (s * d + s0 * d0), axis=layer.axes, keepdims=True)
    share = layer.pool(ops.ones_like(d), axis=layer.axes, keepdims=True) / _size(d, layer.axes)
    return [layer.merge(layer.center(arrived * h + at_moment * share * (d + d0)))]


def _size(groups: Tensor, axes: tuple) -> float:
    """The number of values in a group."""
    size = 1.0
    for axis in axes:
        size *= groups.shape[axis]
    return size


def _through_steps(change: Change, multipliers: list) -> list:
    """Through a recurrent layer, step by step, under the mask of the input."""
    node, step = change.node, step_of(change.node, change.graph.shapes)
    mask = mask_of(node, change.values)
    rollouts = [roll_out(node, step, part, mask) for part in (change.values, change.references)]

    def visit(known: list, arrived: Mapping) -> Mapping:
        values, references = (run_nodes(step.nodes, part) for part in known)
        return propagate_multipliers(step, values, references, arrived)

    return back_through_time(node, step, rollouts, mask, multipliers, visit)


def midpoints(x: list, x0: list) -> list:
    return [(a + b) / 2 for a, b in zip(x, x0)]


RULES: dict[str, Callable] = {
    "activation": rescale,
    "masking": rescale,
    "max": by_winner,
    "normalization": through_normalizer,
}
