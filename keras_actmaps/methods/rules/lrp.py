"""Layer-wise relevance propagation: the choice of rules, and the backward pass from the score to the input."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from keras import ops, tree

from keras_actmaps import backend
from keras_actmaps.core.graph import Graph, Node, run_backward
from keras_actmaps.core.layer_types import GATES, describe_node, layer_type, operation_name
from keras_actmaps.core.linear import Linear
from keras_actmaps.core.settings import show
from keras_actmaps.core.types import Slot, Tensor
from keras_actmaps.methods.rules.lrp_rules import KERNEL_RULES, LayerState, Parameters, propagate, ratio

ANY_LAYER = ("0", "epsilon", "pass", "route")  # the rules that need no kernel
RULES = (*KERNEL_RULES, "pass", "route")
WITHOUT_KERNEL = {
    "affine": "pass",
    "activation": "pass",
    "rearrange": "route",
    "max": "route",
    "sum": "0",
    "product": "gate",
}
COMPOSITES: dict[str, tuple[str, str, dict[str, str]]] = {
    "epsilon_plus": ("z+", "epsilon", {}),
    "epsilon_alpha2_beta1": ("alpha-beta", "epsilon", {}),
    "epsilon_gamma_box": ("gamma", "epsilon", {"convolution": "zB"}),
    "epsilon_plus_flat": ("z+", "epsilon", {"convolution": "flat", "dense": "flat"}),
}  # the rule of convolutions, of Dense, and of the first layers where theirs differs


@dataclass(frozen=True)
class Propagation:
    """Rules for the layers of a linearized graph (`core.linear`).

    Attributes
    ----------
    composite : str
        One of COMPOSITES.
    rule : str or None
        One of RULES for all layers with a kernel instead.
    rules : mapping
        By path, name or type of a layer, with precedence: one of RULES or a function
        `(layer, inputs, outputs, relevance) -> relevance of the inputs`.
    low, high : float, array or None
        The lowest and highest value of the inputs; None uses those of each input.
    """

    graph: Graph
    composite: str = "epsilon_plus"
    rule: str | None = None
    rules: Mapping[str, str | Callable] = field(default_factory=dict)
    parameters: Parameters = field(default_factory=Parameters)
    low: Any = None
    high: Any = None

    def __call__(self, values: Mapping[Slot, Tensor], relevance: Mapping[Slot, Tensor]) -> Tensor:
        """The relevance of the inputs from that at some slots; values: the tensors of all slots."""
        inputs_slot = self.graph.inputs[0]
        before, first = _first_layers(self.graph)
        bounds = self._bounds(values[inputs_slot], before)

        def backward(node: Node, arrived: list) -> list:
            inputs = [values[slot] for slot in node.reads.values()]
            outputs = [values[slot] for slot in node.writes]
            arrived = [ops.zeros_like(y) if part is None else part for y, part in zip(outputs, arrived)]
            rule = self.rule_of(node, node in before, node in first)
            if callable(rule):
                return _apply_user_rule(rule, node, inputs, outputs, arrived)
            if rule == "gate":
                return _split_product(self.graph, node, inputs, arrived[0])
            if not isinstance(node.operation, Linear) or rule in ("pass", "route"):
                return self._without_kernel(rule, node, inputs, outputs, arrived)
            x, y, received = inputs[0], outputs[0], arrived[0]
            low, high = bounds.get(next(iter(node.reads.values()))) or _value_range(x)
            kernel, bias = node.operation.weights(x)
            state = LayerState(x, kernel, bias, y, low, high)
            if rule == "mix":
                return [propagate(node.operation, state, received, "w^2", replace(self.parameters, bias=False))]
            return [propagate(node.operation, state, received, rule, self.parameters)]

        return run_backward(self.graph.nodes, relevance, backward)[inputs_slot]

    def rule_of(self, node: Node, is_before: bool = False, is_first: bool = False) -> str | Callable:
        """The rule of a node; ValueError for a node without one."""
        found = layer_type(node)
        own = [key for key in _keys(node) if key in self.rules]
        if own:
            rule = self.rules[own[0]]
            if found != "linear" and not callable(rule) and rule not in ANY_LAYER:
                raise ValueError(
                    f"rule {rule!r} needs a kernel, which {describe_node(node)} does not have; choices: "
                    f"{', '.join(ANY_LAYER)} or a function"
                )
            self._check_pass(rule, node)
            return rule
        if found is None:
            raise ValueError(
                f"lrp has no rule for layer {describe_node(node)}; pass one as "
                f"rules={{{node.path!r}: 'pass'}}: {', '.join(ANY_LAYER)} or a function"
            )
        if found == "linear":
            return self.rule or self._of_composite(node.operation, is_before, is_first)
        if found == "affine" and self.rule in ("0", "epsilon") and self.parameters.bias:
            return self.rule
        return WITHOUT_KERNEL[found]

    def _check_pass(self, rule: str | Callable, node: Node) -> None:
        """ValueError for rule 'pass' at a layer that changes shapes."""
        shapes = [[self.graph.shapes[slot] for slot in slots] for slots in (node.reads.values(), node.writes)]
        if rule == "pass" and shapes[0] != shapes[1]:
            raise ValueError(
                f"rule 'pass' keeps relevance in place, but layer {describe_node(node)} turns "
                f"{', '.join(map(str, shapes[0]))} into {', '.join(map(str, shapes[1]))}; use 'route', 'epsilon' or a "
                "function"
            )

    def _of_composite(self, linear: Any, is_before: bool, is_first: bool) -> str:
        """The rule of a layer with a kernel by the composite."""
        convolution, dense, first = COMPOSITES[self.composite]
        is_convolution = not isinstance(linear, Linear) or linear.is_convolution
        role = "convolution" if is_convolution else "dense"
        if is_before:
            return "mix"
        return first[role] if is_first and role in first else {"convolution": convolution, "dense": dense}[role]

    def _without_kernel(self, rule: str, node: Node, inputs: Sequence, outputs: Sequence, relevance: list) -> list:
        """Through a layer without a kernel: unchanged, as the gradient routes it, or by z_ij = x_i dy_j/dx_i."""
        if rule == "pass":
            return relevance
        backward = backend.vjp(_as_function(node), inputs)[1]
        if rule == "route":
            return backward(relevance)
        epsilon = self.parameters.epsilon if rule == "epsilon" else 0.0
        parts = backward([ratio(part, y, epsilon) for part, y in zip(relevance, outputs)])
        return [x * part for x, part in zip(inputs, parts)]

    def _bounds(self, inputs: Tensor, before: Sequence[Node]) -> dict[Slot, tuple[Tensor, Tensor]]:
        """Bounds of the values at each slot before the first layers with a kernel: {slot: (low, high)}."""
        lowest, highest = _value_range(inputs)
        low = lowest if self.low is None else ops.zeros_like(inputs) + ops.cast(self.low, inputs.dtype)
        high = highest if self.high is None else ops.zeros_like(inputs) + ops.cast(self.high, inputs.dtype)
        lows, highs = ({self.graph.inputs[0]: part} for part in (low, high))
        for node in before:
            (slot,) = node.writes
            if isinstance(node.operation, Linear):
                low, high = (part[next(iter(node.reads.values()))] for part in (lows, highs))
                kernel, bias = node.operation.weights(low)
                up, down = ops.maximum(kernel, 0.0), ops.minimum(kernel, 0.0)
                lows[slot] = node.operation.apply(low, up) + node.operation.apply(high, down) + bias
                highs[slot] = node.operation.apply(high, up) + node.operation.apply(low, down) + bias
            else:
                ends = node(lows), node(highs)
                lows[slot], highs[slot] = ops.minimum(*ends), ops.maximum(*ends)
        return {slot: (lows[slot], highs[slot]) for slot in lows}


def check_rules(graph: Graph, rules: Mapping[str, Any]) -> None:
    """ValueError for an unknown rule and for a layer that does not exist."""
    known = {key for node in graph.nodes for key in _keys(node)}
    for key, rule in rules.items():
        if key not in known:
            raise ValueError(f"rules: no layer {show(key)}; use the name, path or type of a layer")
        if not callable(rule) and rule not in RULES:
            raise ValueError(f"rules: no rule {show(rule)} for {show(key)}; choices: {', '.join(RULES)}, or a function")


def _keys(node: Node) -> tuple[str, ...]:
    """The keys of `rules` that match a node: path, name and type of the layer."""
    operation = node.operation.layer if isinstance(node.operation, Linear) else node.operation
    return node.path, node.path.rsplit("/", 1)[-1], type(operation).__name__


def _first_layers(graph: Graph) -> tuple[list[Node], list[Node]]:
    """(nodes before the first layers with a kernel, these layers); those that only mix colors are not counted."""
    reached, before, first = set(graph.inputs), [], []
    for node in graph.nodes:
        if reached.issuperset(node.reads.values()):
            if isinstance(node.operation, Linear) and not _mixes_colors(graph, node):
                first.append(node)
            else:
                before.append(node)
                reached.update(node.writes)
    return before, first


def _mixes_colors(graph: Graph, node: Node) -> bool:
    """Whether this is a pointwise convolution that only layers with a kernel read, as in preprocessing."""
    readers = [other for other in graph.nodes if node.writes[0] in other.reads.values()]
    layer = getattr(node.operation, "layer", None)
    is_pointwise = set(getattr(layer, "kernel_size", ())) == {1}
    return is_pointwise and bool(readers) and all(isinstance(other.operation, Linear) for other in readers)


def _split_product(graph: Graph, node: Node, inputs: Sequence, relevance: Tensor) -> list:
    """Relevance of the factors of a product: all to the signal and none to a gate; half each if neither is a gate.

    A gate is the output of a sigmoid, or is broadcast to the signal (squeeze and excitation).
    """
    whole = graph.shapes[node.writes[0]]
    gates = [
        graph.shapes[slot] != whole or operation_name(getattr(graph.producer(slot), "operation", None)) in GATES
        for slot in node.reads.values()
    ]
    share = [float(not gate) for gate in gates] if sum(gates) == 1 else [0.5, 0.5]
    return [relevance * part if part else ops.zeros_like(x) for x, part in zip(inputs, share)]


def _apply_user_rule(rule: Callable, node: Node, inputs: list, outputs: list, relevance: list) -> list:
    """Apply a user-defined rule, which takes single tensors, or lists if the layer has several."""
    single = [part[0] if len(part) == 1 else part for part in (inputs, outputs, relevance)]
    return tree.flatten(rule(node.operation, *single))


def _as_function(node: Node) -> Callable:
    """A node as a function of its input tensors."""
    return lambda *inputs: tree.flatten(node(dict(zip(node.reads.values(), inputs))))


def _value_range(values: Tensor) -> tuple:
    """The lowest and the highest value of each row, in the shape of the values."""
    axes = tuple(range(1, len(values.shape)))
    ends = ops.min(values, axis=axes, keepdims=True), ops.max(values, axis=axes, keepdims=True)
    return tuple(ops.zeros_like(values) + end for end in ends)
