"""Layer-wise relevance propagation: which rule a layer gets, and the way back from the score to the image."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from keras import ops, tree

from keras_actmaps import engine, rewire
from keras_actmaps.rules.kinds import GATES, kind_of, label, name_of
from keras_actmaps.rules.linear import Linear
from keras_actmaps.rules.terms import KERNEL_RULES, At, Numbers, ratio, shared

ANY_LAYER = ("0", "epsilon", "pass", "route")  # the rules that need no kernel
RULES = (*KERNEL_RULES, "pass", "route")
WITHOUT_KERNEL = {
    "affine": "pass", "activation": "pass", "moves": "route", "max": "route", "sums": "0", "product": "gate",
}  # fmt: skip
COMPOSITES = {  # the rule of convolutions, of Dense, and of the first layers where theirs is another
    "epsilon_plus": ("z+", "epsilon", {}),
    "epsilon_alpha2_beta1": ("alpha-beta", "epsilon", {}),
    "epsilon_gamma_box": ("gamma", "epsilon", {"convolution": "zB"}),
    "epsilon_plus_flat": ("z+", "epsilon", {"convolution": "flat", "dense": "flat"}),
}


@dataclass(frozen=True)
class Propagation:
    """Rules for the layers of a linearised graph (`rules.linear`).

    composite: one of COMPOSITES. rule: one of RULES for all layers instead. rules: by path, name or type of a layer,
    before all others; one of RULES or a function `(layer, inputs, outputs, relevance) -> relevance of the inputs`.
    low, high: the least and greatest value of the images; None takes those of each image.
    """

    graph: rewire.Graph
    composite: str = "epsilon_plus"
    rule: str | None = None
    rules: Mapping[str, str | Callable] = field(default_factory=dict)
    numbers: Numbers = field(default_factory=Numbers)
    low: object = None
    high: object = None

    def __call__(self, values: Mapping, relevance: Mapping):
        """The relevance of the images from that at some slots; values: the tensors of all slots."""
        images = self.graph.inputs[0]
        before, first = _first_layers(self.graph)
        boxes = self._boxes(values[images], before)

        def back(step, arrived):
            inputs = [values[slot] for slot in step.reads.values()]
            outputs = [values[slot] for slot in step.writes]
            arrived = [ops.zeros_like(y) if part is None else part for y, part in zip(outputs, arrived)]
            rule = self.rule_of(step, step in before, step in first)
            if callable(rule):
                return _given(rule, step, inputs, outputs, arrived)
            if rule == "gate":
                return _gated(self.graph, step, inputs, arrived[0])
            if not isinstance(step.operation, Linear) or rule in ("pass", "route"):
                return self._without_kernel(rule, step, inputs, outputs, arrived)
            low, high = boxes.get(*step.reads.values()) or _range(*inputs)
            at = At(*inputs, *step.operation.weights(*inputs), *outputs, low, high)
            if rule == "mix":
                return [shared(step.operation, at, *arrived, "w^2", replace(self.numbers, bias=False))]
            return [shared(step.operation, at, *arrived, rule, self.numbers)]

        return rewire.run_back(self.graph.steps, relevance, back)[images]

    def rule_of(self, step: rewire.Step, is_before: bool = False, is_first: bool = False) -> str | Callable:
        """The rule of a step; ValueError for one that has none."""
        kind = kind_of(step)
        own = [key for key in _keys(step) if key in self.rules]
        if own:
            given = self.rules[own[0]]
            if kind != "linear" and not callable(given) and given not in ANY_LAYER:
                raise ValueError(f"rule {given!r} needs a kernel, which {label(step)} has not; it may have "
                                 f"{', '.join(ANY_LAYER)} or a function")  # fmt: skip
            return given
        if kind is None:
            raise ValueError(f"lrp has no rule for layer {label(step)}; give it one with "
                             f"rules={{{step.path!r}: 'pass'}}: {', '.join(ANY_LAYER)} or a function")  # fmt: skip
        if kind == "linear":
            return self.rule or self._of_composite(step.operation, is_before, is_first)
        if kind == "affine" and self.rule in ("0", "epsilon") and self.numbers.bias:
            return self.rule
        return WITHOUT_KERNEL[kind]

    def _of_composite(self, linear: Linear, is_before: bool, is_first: bool) -> str:
        convolution, dense, first = COMPOSITES[self.composite]
        role = "convolution" if linear.is_convolution else "dense"
        if is_before:
            return "mix"
        return first.get(role, "") if is_first and role in first else {"convolution": convolution, "dense": dense}[role]

    def _without_kernel(self, rule: str, step, inputs, outputs, relevance) -> list:
        """Through a layer without a kernel: as it is, as the gradient routes it, or by z_ij = x_i dy_j/dx_i."""
        if rule == "pass":
            return relevance
        back = engine.pullback(_called(step), inputs)[1]
        if rule == "route":
            return back(relevance)
        epsilon = self.numbers.epsilon if rule == "epsilon" else 0.0
        parts = back([ratio(part, y, epsilon) for part, y in zip(relevance, outputs)])
        return [x * part for x, part in zip(inputs, parts)]

    def _boxes(self, images, before) -> Mapping:
        """What the layers before the first make of the images' least and greatest values: {slot: (low, high)}."""
        least, greatest = _range(images)
        low = least if self.low is None else ops.zeros_like(images) + ops.cast(self.low, images.dtype)
        high = greatest if self.high is None else ops.zeros_like(images) + ops.cast(self.high, images.dtype)
        lows, highs = ({self.graph.inputs[0]: part} for part in (low, high))
        for step in before:
            (slot,) = step.writes
            if isinstance(step.operation, Linear):
                low, high = (part[next(iter(step.reads.values()))] for part in (lows, highs))
                kernel, bias = step.operation.weights(low)
                up, down = ops.maximum(kernel, 0.0), ops.minimum(kernel, 0.0)
                lows[slot] = step.operation.apply(low, up) + step.operation.apply(high, down) + bias
                highs[slot] = step.operation.apply(high, up) + step.operation.apply(low, down) + bias
            else:
                ends = step(lows), step(highs)
                lows[slot], highs[slot] = ops.minimum(*ends), ops.maximum(*ends)
        return {slot: (lows[slot], highs[slot]) for slot in lows}


def check_rules(graph: rewire.Graph, rules: Mapping) -> None:
    """ValueError for an unknown rule and for a layer that is not there."""
    known = {key for step in graph.steps for key in _keys(step)}
    for key, rule in rules.items():
        if key not in known:
            raise ValueError(f"rules: no layer {key!r}; give the name, path or type of a layer")
        if not callable(rule) and rule not in RULES:
            raise ValueError(f"rules: no rule {rule!r} for {key!r}; there are: {', '.join(RULES)}, or a function")


def _keys(step: rewire.Step) -> tuple[str, ...]:
    """What a layer goes by: path, name, type."""
    operation = step.operation.layer if isinstance(step.operation, Linear) else step.operation
    return step.path, step.path.rsplit("/", 1)[-1], type(operation).__name__


def _first_layers(graph: rewire.Graph) -> tuple[list, list]:
    """(steps before the first layers with a kernel, these layers); what only mixes colours does not count as one."""
    reached, before, first = set(graph.inputs), [], []
    for step in graph.steps:
        if reached.issuperset(step.reads.values()):
            if isinstance(step.operation, Linear) and not _mixes_colours(graph, step):
                first.append(step)
            else:
                before.append(step)
                reached.update(step.writes)
    return before, first


def _mixes_colours(graph: rewire.Graph, step: rewire.Step) -> bool:
    """A convolution of single pixels whose outputs go straight into layers with a kernel, as preprocessing does."""
    readers = [other for other in graph.steps if step.writes[0] in other.reads.values()]
    is_pointwise = set(getattr(step.operation.layer, "kernel_size", ())) == {1}
    return is_pointwise and bool(readers) and all(isinstance(other.operation, Linear) for other in readers)


def _gated(graph: rewire.Graph, step, inputs, relevance) -> list:
    """A product: the signal takes all and a gate nothing; where neither is a gate, each takes half.

    A gate comes from a sigmoid, or has one number for what in the signal is many (squeeze and excitation).
    """
    whole = graph.shapes[step.writes[0]]
    gates = [graph.shapes[slot] != whole or name_of(getattr(graph.writer(slot), "operation", None)) in GATES
             for slot in step.reads.values()]  # fmt: skip
    share = [float(not gate) for gate in gates] if sum(gates) == 1 else [0.5, 0.5]
    return [relevance * part if part else ops.zeros_like(x) for x, part in zip(inputs, share)]


def _given(rule: Callable, step, inputs, outputs, relevance) -> list:
    """By a user's function of single tensors, or of lists where the layer has several."""
    single = [part[0] if len(part) == 1 else part for part in (inputs, outputs, relevance)]
    return tree.flatten(rule(step.operation, *single))


def _called(step) -> Callable:
    return lambda *inputs: tree.flatten(step(dict(zip(step.reads.values(), inputs))))


def _range(values) -> tuple:
    """The least and the greatest value of each row, in the shape of the values."""
    axes = tuple(range(1, len(values.shape)))
    ends = ops.min(values, axis=axes, keepdims=True), ops.max(values, axis=axes, keepdims=True)
    return tuple(ops.zeros_like(values) + end for end in ends)
