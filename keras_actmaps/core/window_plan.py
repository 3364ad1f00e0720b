"""WindowPlan: which nodes of a graph run in windows, and what that costs, for patches at given places."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from keras import tree

from keras_actmaps.core.graph import Graph, Node
from keras_actmaps.core.linear import linear_nodes
from keras_actmaps.core.rewrite import split_activations
from keras_actmaps.core.types import Array, Slot
from keras_actmaps.core.window_rules import GlobalMean, Local, Rule, Shift, multiply_adds, rule_of
from keras_actmaps.core.windows import Windows, covering, united

LARGEST = 0.7  # share of a map from which on all of it is computed
PER_ELEMENT = 8  # multiply-adds that take as long as to write an element


@dataclass(frozen=True, eq=False)
class Step:
    """A node that depends on the input, and how it runs.

    Attributes
    ----------
    node : Node
    rule : Rule or None
        None for a node that runs on whole tensors.
    """

    node: Node
    rule: Rule | None


@dataclass(frozen=True, eq=False)
class WindowPlan:
    """How a graph runs on inputs with a changed patch.

    Attributes
    ----------
    nodes : tuple of Node
        The whole graph, for the run on the unchanged input.
    steps : tuple of Step
        What runs for each place of the patch, in this order.
    windows : mapping of int to Windows
        The windows of the slots that are computed in windows.
    kept : tuple of int
        Slots whose tensors of the unchanged input the steps read.
    outputs : structure of int
    shapes : mapping of int to tuple
    multiply_adds, all_multiply_adds : int
        Products with weights for each place, and of the whole graph.
    share : float
        Estimated time for each place, as a share of that of the whole graph.
    memory_share : float
        Largest number of elements of a node for each place, as a share of that of the whole graph.
    """

    nodes: tuple[Node, ...]
    steps: tuple[Step, ...]
    windows: Mapping[Slot, Windows]
    kept: tuple[Slot, ...]
    outputs: Any
    shapes: Mapping[Slot, tuple]
    multiply_adds: int
    all_multiply_adds: int
    share: float
    memory_share: float

    @property
    def starts(self) -> Array:
        """The starts of all windows (places, windows, axes), in their order."""
        return np.stack([windows.starts for windows in self.windows.values()], axis=1)

    def space(self, slot: Slot) -> tuple[int, ...]:
        """The shape of a map."""
        return tuple(self.shapes[slot][1:-1])


def plan_windows(graph: Graph, patches: Sequence[tuple[slice, ...]]) -> WindowPlan | None:
    """The plan for patches of the input of a graph; None if it has none because shapes are unknown.

    Parameters
    ----------
    graph : Graph
        With a single input (N, *space, C) of known shape.
    patches : sequence of tuple of slice
        The places.
    """
    if graph.is_opaque or len(graph.inputs) != 1:
        return None
    graph, image = _in_parts(graph), graph.inputs[0]
    used = {slot for node in graph.nodes for slot in (*node.reads.values(), *node.writes)}
    if len(graph.shapes[image]) < 3 or any(None in graph.shapes.get(slot, (None, None))[1:] for slot in used):
        return None
    ends = np.array([[(side.start, side.stop) for side in patch] for patch in patches])
    windows = {image: covering(ends[..., 0], ends[..., 1], graph.shapes[image][1:-1])}
    steps: list[Step] = []
    whole: set[Slot] = set()
    for node in graph.descendants([image]):
        rule, found = (
            (None, None) if whole.intersection(node.reads.values()) else _windows_of(node, windows, graph.shapes)
        )
        steps.append(Step(node, rule))
        if found is None:
            whole.update(node.writes)
        else:
            windows[node.writes[0]] = found
    return _with_costs(graph, tuple(steps), windows)


def _in_parts(graph: Graph) -> Graph:
    """The graph with activations as nodes of their own and layers with a kernel as `Linear`."""
    graph = split_activations(graph)
    shapes = dict(graph.shapes)
    nodes = tuple(part for node in graph.nodes for part in linear_nodes(node, shapes))
    return replace(graph, nodes=nodes, shapes=shapes)


def _windows_of(node: Node, windows: Mapping[Slot, Windows], shapes: Mapping) -> tuple[Rule | None, Windows | None]:
    """The rule of a node and the windows of its output, which are None where all of it changes."""
    reached = [windows[slot] for slot in node.reads.values() if slot in windows]
    rule, space = rule_of(node, shapes), shapes[node.writes[0]][1:-1]
    if rule is None or isinstance(rule, GlobalMean):
        return rule, None
    if isinstance(rule, Local):
        found = rule.reach.outputs(reached[0], space)
    elif isinstance(rule, Shift):
        found = Windows((reached[0].starts + np.array(rule.before)).astype("int32"), reached[0].sides)
    else:
        found = united(reached, space)
    return (rule, found) if found.area <= LARGEST * math.prod(space) else (None, None)


def _with_costs(graph: Graph, steps: tuple[Step, ...], windows: Mapping[Slot, Windows]) -> WindowPlan:
    """The plan of these steps."""
    outputs = tree.flatten(graph.outputs)
    written = {slot for step in steps for slot in step.node.writes}
    read = {slot for step in steps for slot in step.node.reads.values()}.union(outputs)
    means = {slot for step in steps if isinstance(step.rule, GlobalMean) for slot in step.node.writes}
    kept = {slot for slot in read if slot in windows or slot not in written} | means
    found = np.array(
        [(*_cost(step, windows, graph.shapes), *_cost(Step(step.node, None), {}, graph.shapes)) for step in steps]
    )
    products, moved, all_products, all_moved = found.sum(axis=0).tolist()
    return WindowPlan(
        nodes=graph.nodes,
        steps=steps,
        windows=windows,
        kept=tuple(sorted(kept)),
        outputs=graph.outputs,
        shapes=graph.shapes,
        multiply_adds=products,
        all_multiply_adds=all_products,
        share=(products + PER_ELEMENT * moved) / max(all_products + PER_ELEMENT * all_moved, 1),
        memory_share=found[:, 1].max() / max(found[:, 3].max(), 1),
    )


def _cost(step: Step, windows: Mapping[Slot, Windows], shapes: Mapping[Slot, tuple]) -> tuple[int, int]:
    """The multiply-adds of a step for each place, and the elements that it writes, those of its inputs included."""
    node, rule = step.node, step.rule
    if isinstance(rule, Shift):
        return 0, 0
    positions, elements = 0, 0
    for slot in node.writes:
        shape = shapes[slot]
        positions = windows[slot].area if slot in windows else math.prod(shape[1:-1])
        elements += positions * shape[-1]
    for slot in windows.keys() & node.reads.values():
        elements += 2 * _pasted(rule, windows[slot], windows.get(node.writes[0]), shapes[slot]) * shapes[slot][-1]
    return positions * multiply_adds(node, shapes), elements


def _pasted(rule: Rule | None, before: Windows, after: Windows | None, shape: tuple) -> int:
    """The positions of an input that are put together of windows and the unchanged tensor, for each place."""
    if rule is None or after is None:
        return math.prod(shape[1:-1]) if rule is None else before.area
    read = rule.reach.inputs(after) if isinstance(rule, Local) else after
    return 0 if read.equals(before) else read.area
