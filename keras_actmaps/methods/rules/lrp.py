"""Layer-wise relevance propagation: the choice of rules, and the backward pass from the score to the input."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from keras import ops, tree

from keras_actmaps.core.graph import Graph, Node, carrying, is_floating, run_backward, run_nodes
from keras_actmaps.core.layer_types import describe_node, layer_type
from keras_actmaps.core.linear import Linear
from keras_actmaps.core.recurrent import back_through_time, mask_of, roll_out, step_of
from keras_actmaps.core.settings import show
from keras_actmaps.core.types import Slot, Tensor
from keras_actmaps.core.value_ranges import nonnegative_slots
from keras_actmaps.methods.rules.lrp_rules import KERNEL_RULES, LayerState, Parameters, propagate
from keras_actmaps.methods.rules.node_rules import NODE_RULES, Passage, apply_user_rule

ANY_LAYER = ("0", "epsilon", "pass", "route")  # the rules that need no kernel
RULES = (*KERNEL_RULES, "pass", "route")
RULE_OF_TYPE = {
    "affine": "pass",
    "activation": "pass",
    "rearrange": "route",
    "max": "route",
    "masking": "route",
    "sum": "0",
    "normalization": "normalize",
    "product": "gate",
    "recurrent": "epsilon",
}  # of layers without a kernel, and of the kernels in a recurrent layer
OF_STEPS = ("0", "epsilon", "gamma", "alpha-beta", "z+")  # rules of the kernels in a recurrent layer


@dataclass(frozen=True)
class Composite:
    """Rules by the type of layer: of convolutions, of Dense, of the first layers, and of types without a kernel."""

    convolution: str
    dense: str
    first: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)


COMPOSITES = {
    "epsilon_plus": Composite("z+", "epsilon"),
    "epsilon_alpha2_beta1": Composite("alpha-beta", "epsilon"),
    "epsilon_gamma_box": Composite("gamma", "epsilon", {"convolution": "zB"}),
    "epsilon_plus_flat": Composite("z+", "epsilon", {"convolution": "flat", "dense": "flat"}),
}


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

    def __call__(self, values: Mapping[Slot, Tensor], relevance: Mapping[Slot, Tensor]) -> dict[Slot, Tensor]:
        """The relevance at every slot, inputs included, from that at some; values: the tensors of all slots."""
        before, first = first_layers(self.graph)
        rules = {id(node): self.rule_of(node, node in before, node in first) for node in carrying(self.graph)}
        bounds = self._bounds(values, before) if "zB" in rules.values() else {}
        return self.backward(values, relevance, rules, bounds)

    def backward(
        self, values: Mapping[Slot, Tensor], relevance: Mapping[Slot, Tensor], rules: Mapping, bounds: Mapping
    ) -> dict[Slot, Tensor]:
        """The relevance at every slot that it reaches, by the rule of each node."""

        def visit(node: Node, arrived: list) -> list:
            if id(node) not in rules:  # masks and indices
                return [None] * len(node.reads)
            outputs = [values[slot] for slot in node.writes]
            arrived = [ops.zeros_like(y) if part is None else part for y, part in zip(outputs, arrived)]
            rule = rules[id(node)]
            if callable(rule):
                return apply_user_rule(rule, node, [values[slot] for slot in node.reads.values()], outputs, arrived)
            if layer_type(node) == "recurrent" and rule in KERNEL_RULES:
                return self._through_steps(node, rule, values, arrived)
            if isinstance(node.operation, Linear) and (rule in KERNEL_RULES or rule == "mix"):
                return [self._through_kernel(node, rule, values, arrived[0], bounds)]
            return NODE_RULES[rule](Passage(self.graph, node, values, arrived, rule, self.parameters))

        return run_backward(self.graph.nodes, relevance, visit)

    @cached_property
    def nonnegative(self) -> set[Slot]:
        """The slots that are never negative."""
        return nonnegative_slots(self.graph)

    def _through_kernel(self, node: Node, rule: str, values: Mapping, relevance: Tensor, bounds: Mapping) -> Tensor:
        read = next(iter(node.reads.values()))
        x, y = values[read], values[node.writes[0]]
        linear: Any = node.operation
        low, high = bounds.get(read) or (_value_range(x) if rule == "zB" else (x, x))
        kernel, bias = linear.weights(x)
        state = LayerState(x, kernel, bias, y, low, high, read in self.nonnegative)
        if rule == "mix":
            return propagate(linear, state, relevance, "w^2", replace(self.parameters, bias=False))
        return propagate(linear, state, relevance, rule, self.parameters)

    def _through_steps(self, node: Node, rule: str, values: Mapping, arrived: list) -> list:
        """Through a recurrent layer: each step by `rule` for its kernels; sums have its stabilizer; gates get none."""
        step = step_of(node, self.graph.shapes)
        inner = replace(self, graph=step, rule=rule, rules={})
        share = "epsilon" if rule == "epsilon" else "0"
        rules = {id(one): share if layer_type(one) == "sum" else inner.rule_of(one) for one in step.nodes}

        def visit(known: list, arrived: Mapping) -> Mapping:
            return inner.backward(run_nodes(step.nodes, known[0]), arrived, rules, {})

        mask = mask_of(node, values)
        return back_through_time(node, step, [roll_out(node, step, values, mask)], mask, arrived, visit)

    def rule_of(self, node: Node, is_before: bool = False, is_first: bool = False) -> str | Callable:
        """The rule of a node; ValueError for a node without one, and for one that does not fit."""
        own = [key for key in layer_keys(node) if key in self.rules]
        rule = self.rules[own[0]] if own else self._default(node, is_before, is_first)
        if callable(rule):
            return rule
        found, described = layer_type(node), describe_node(node)
        if found == "recurrent" and rule not in (*OF_STEPS, "pass", "route"):
            raise ValueError(
                f"rule {rule!r} is not defined for the recurrent layer {described}; choices for rules="
                f"{{{node.path!r}: ...}}: {', '.join(OF_STEPS)}, route or a function"
            )
        if found not in ("linear", "recurrent") and own and rule not in ANY_LAYER:
            raise ValueError(
                f"rule {rule!r} needs a kernel, which {described} does not have; choices: "
                f"{', '.join(ANY_LAYER)} or a function"
            )
        if rule == "pass" and not self._keeps_shape(node):
            reads, writes = self._shapes(node)
            raise ValueError(
                f"rule 'pass' keeps relevance in place, but layer {described} turns {', '.join(map(str, reads))} into "
                f"{', '.join(map(str, writes))}; use 'route', 'epsilon' or a function"
            )
        return rule

    def _default(self, node: Node, is_before: bool, is_first: bool) -> str:
        """The rule by the type of a node."""
        found, composite = layer_type(node), COMPOSITES[self.composite]
        if found is not None and found in composite.types:
            return composite.types[found]
        if found is None:
            advice = "pass" if self._keeps_shape(node) else "route"
            raise ValueError(
                f"lrp has no rule for layer {describe_node(node)}; pass one as "
                f"rules={{{node.path!r}: {advice!r}}}: {', '.join(ANY_LAYER)} or a function; "
                "composite='cp' is for transformers"
            )
        if found == "recurrent":
            return self.rule or RULE_OF_TYPE[found]
        if found == "linear":
            if self.rule:
                return self.rule
            role = "convolution" if node.operation.is_convolution else "dense"
            default = getattr(composite, role)
            return "mix" if is_before else composite.first.get(role, default) if is_first else default
        if found == "affine" and self.rule in ("0", "epsilon") and self.parameters.bias:
            return self.rule
        return RULE_OF_TYPE[found]

    def _keeps_shape(self, node: Node) -> bool:
        reads, writes = self._shapes(node)
        return reads == writes

    def _shapes(self, node: Node) -> tuple[list, list]:
        """The shapes of the floating tensors that a node reads, and of those that it writes."""
        return [self.graph.shapes[slot] for slot in node.floating], [self.graph.shapes[slot] for slot in node.writes]

    def _bounds(self, values: Mapping[Slot, Tensor], before: Sequence[Node]) -> dict[Slot, tuple[Tensor, Tensor]]:
        """Bounds of the values at each slot before the first layers with a kernel: {slot: (low, high)}."""
        inputs = values[self.graph.inputs[0]]
        lowest, highest = _value_range(inputs)
        low = lowest if self.low is None else ops.zeros_like(inputs) + ops.cast(self.low, inputs.dtype)
        high = highest if self.high is None else ops.zeros_like(inputs) + ops.cast(self.high, inputs.dtype)
        masks = {slot: value for slot, value in values.items() if not is_floating(value.dtype)}
        lows, highs = ({**masks, self.graph.inputs[0]: part} for part in (low, high))
        for node in before:
            if node.writes[0] in masks:
                continue
            if isinstance(node.operation, Linear):
                low, high = (part[next(iter(node.reads.values()))] for part in (lows, highs))
                kernel, bias = node.operation.weights(low)
                up, down = ops.maximum(kernel, 0.0), ops.minimum(kernel, 0.0)
                lows[node.writes[0]] = node.operation.apply(low, up) + node.operation.apply(high, down) + bias
                highs[node.writes[0]] = node.operation.apply(high, up) + node.operation.apply(low, down) + bias
            else:
                ends = zip(node.writes, *(tree.flatten(node(part)) for part in (lows, highs)))
                for slot, *end in ends:
                    lows[slot], highs[slot] = ops.minimum(*end), ops.maximum(*end)
        return {slot: (lows[slot], highs[slot]) for slot in lows if slot not in masks}


def check_rules(graph: Graph, rules: Mapping[str, Any]) -> None:
    """ValueError for an unknown rule and for a layer that does not exist."""
    known = {key for node in graph.nodes for key in layer_keys(node)}
    for key, rule in rules.items():
        if key not in known:
            raise ValueError(f"rules: no layer {show(key)}; use the name, path or type of a layer")
        if not callable(rule) and rule not in RULES:
            raise ValueError(f"rules: no rule {show(rule)} for {show(key)}; choices: {', '.join(RULES)}, or a function")


def layer_keys(node: Node) -> tuple[str, ...]:
    """The keys of `rules` that match a node: path, name and type of the layer."""
    operation = node.operation.layer if isinstance(node.operation, Linear) else node.operation
    return node.path, node.path.rsplit("/", 1)[-1], type(operation).__name__


def first_layers(graph: Graph) -> tuple[list[Node], list[Node]]:
    """(nodes before the first layers with a kernel, these layers).

    A layer with a kernel is a first one if all that it reads comes from the inputs through layers without kernels, in
    each branch. Pointwise convolutions that only mix colors, as in preprocessing, are not counted.
    """
    reached, before, first = set(graph.inputs), [], []
    for node in graph.nodes:
        if not reached.issuperset(node.reads.values()) or layer_type(node) in ("recurrent", None):
            continue
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


def _value_range(values: Tensor) -> tuple:
    """The lowest and the highest value of each row, in the shape of the values."""
    axes = tuple(range(1, len(values.shape)))
    ends = ops.min(values, axis=axes, keepdims=True), ops.max(values, axis=axes, keepdims=True)
    return tuple(ops.zeros_like(values) + end for end in ends)
