"""The rules of DeepLIFT: how multipliers pass backward through a node, by its type."""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from keras_actmaps import backend
from keras_actmaps.core.attention import PRODUCTS
from keras_actmaps.core.graph import Graph, Node, masked, run_backward, run_nodes
from keras_actmaps.core.layer_types import layer_type, operation_name
from keras_actmaps.core.normalizers import normalizer
from keras_actmaps.core.recurrent import back_through_time, mask_of, roll_out, step_of
from keras_actmaps.core.types import Slot, Tensor

SMALL_SCORE = 1e-4  # below this change of a score, the derivative at the midpoint replaces the quotient
HIDDEN_SCORE = -1e30
ANY_SIZE = 4  # of an axis whose size is not known, in a test
LINEAR = ("Unstack", "Roll", "roll", "Take")  # operations without a type of their own
MASKS = ("Where", "masked_scores")  # linear under the mask of the input, which both passes have
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
        rule = through_softmax if is_softmax(node) else RULES.get(found or "", by_gradient)
        parts = rule(change, arrived)
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


def through_softmax(change: Change, multipliers: list) -> list:
    """y = exp(x - l) with l = log sum exp x: the exponential by rescale, and the change of l shared exactly.

    l - l0 = sum_j w_j (x_j - x0_j), with w_j = (l - l0) / (sum e - sum e0) * (e_j - e0_j) / (x_j - x0_j) and e = exp x.
    Positions that a mask hides have no part in it.
    """
    (x, x0), ((y,), (y0,)) = ([part[0] for part in change.inputs], change.outputs)
    axis = softmax_axis(change.node)
    hidden = ops.logical_and(y == 0, y0 == 0)
    x, x0 = (ops.where(hidden, HIDDEN_SCORE, part) for part in (x, x0))
    step, change_of_log = x - x0, ops.subtract(*(ops.logsumexp(part, axis=axis, keepdims=True) for part in (x, x0)))
    of_exponential = _quotient(multipliers[0] * (y - y0), step - change_of_log, multipliers[0] * (y + y0) / 2)
    highest = ops.max(ops.maximum(x, x0), axis=axis, keepdims=True)
    e, e0 = ops.exp(x - highest), ops.exp(x0 - highest)
    total, total0 = (ops.sum(part, axis=axis, keepdims=True) for part in (e, e0))
    of_log = _quotient(change_of_log, total - total0, 2 / (total + total0))
    shares = of_log * _quotient(e - e0, step, (e + e0) / 2)
    return [of_exponential - ops.sum(of_exponential, axis=axis, keepdims=True) * shares]


def _quotient(change: Tensor, step: Tensor, at_small: Tensor) -> Tensor:
    """change / step, or `at_small` where the step is small."""
    is_small = ops.abs(step) < SMALL_SCORE
    return ops.where(is_small, at_small, change / ops.where(is_small, 1.0, step))


def is_softmax(node: Node) -> bool:
    """Whether this is a softmax over one axis."""
    return operation_name(node.operation).lower() == "softmax" and isinstance(softmax_axis(node), int)


def softmax_axis(node: Node) -> Any:
    """The axis of a softmax, -1 for an activation function."""
    axis = getattr(node.operation, "axis", -1)
    return axis[0] if isinstance(axis, (tuple, list)) and len(axis) == 1 else axis


def has_rule(node: Node, graph: Graph, in_attention: Container[Slot]) -> bool:
    """Whether changes pass through a node exactly: by its type, as a product of two tensors, or as attention."""
    if layer_type(node) is not None or is_softmax(node):
        return True
    name = operation_name(node.operation)
    is_inside = any(slot in in_attention for slot in node.writes)
    is_product = name in PRODUCTS and len(node.floating) <= 2
    return name in LINEAR or is_product or (name in MASKS and is_inside) or _is_affine_layer(node, graph)


def _is_affine_layer(node: Node, graph: Graph) -> bool:
    """Whether a layer of one tensor is affine, such as one that adds a token and positions, by a test."""
    slots = list(node.reads.values())
    if not isinstance(node.operation, keras.layers.Layer) or len(node.floating) != 1 or len(slots) != 1:
        return False
    shape = [ANY_SIZE if side is None else side for side in graph.shapes[slots[0]][1:]]
    random = np.random.default_rng(0)
    first, second = (random.normal(size=(2, *shape)).astype("float32") for _ in range(2))
    try:
        with backend.eager_scope():
            points = [ops.convert_to_tensor(first + share * (second - first)) for share in (0.0, 1.0, 0.5, -2.0)]
            start, end, *others = (backend.to_numpy(tree.flatten(node({slots[0]: point}))[0]) for point in points)
    except Exception:  # any error of the user's code means that the layer is not known to be affine
        return False
    found = [start + share * (end - start) for share in (0.5, -2.0)]
    scale = 1e-4 * max(float(np.abs(part).max()) for part in (start, end, *others))
    return all(np.allclose(one, other, rtol=0, atol=scale) for one, other in zip(found, others))


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
