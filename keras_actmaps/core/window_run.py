"""The two programs of a WindowPlan: the run on the unchanged input, and the outputs with patches of it changed.

All maps that windows are read from are tables with a row for each position, and two more for what is beyond the border.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras import ops, tree

from keras_actmaps.core.attribution import Attribution, tiled
from keras_actmaps.core.graph import run_nodes
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Slot, Tensor
from keras_actmaps.core.window_plan import Step, WindowPlan
from keras_actmaps.core.window_rules import ZERO, GlobalMean, Local, Pointwise, Shift


def run_unchanged(traced: TracedModel, inputs: Tensor, targets: Any, *, plan: WindowPlan) -> Attribution:
    """A function for `TracedModel.run` on one input, whose values are the tensors that `run_patches` reads."""
    values = run_nodes(plan.nodes, traced.start(inputs))
    outputs = tree.map_structure(lambda slot: ops.cast(values[slot], "float32"), plan.outputs)
    return Attribution(
        [_as_table(values[slot]) if slot in plan.windows else values[slot] for slot in plan.kept], outputs
    )


def run_patches(
    traced: TracedModel, inputs: Tensor, targets: Any, fill: Tensor, starts: Tensor, *kept: Tensor, plan: WindowPlan
) -> Attribution:
    """A function for `TracedModel.run` whose values are the scores (P,) of one input with each of P patches filled.

    Parameters
    ----------
    fill : tensor of shape (1, *space, C)
        What replaces the input in a patch.
    starts : int32 tensor of shape (P, windows, axes)
        Rows of `plan.starts`.
    kept : tensors
        The values of `run_unchanged`.
    """
    state = _State(plan, dict(zip(plan.kept, kept)), dict(zip(plan.windows, ops.unstack(starts, axis=1))), {})
    (image,) = traced.graph.inputs
    state.changed[image] = state.look_up(_as_table(fill), state.starts[image], plan.windows[image].sides, image, ZERO)
    for step in plan.steps:
        state.changed.update(zip(step.node.writes, _run(step, state)))
    outputs = tree.map_structure(lambda slot: ops.cast(state.whole(slot), "float32"), plan.outputs)
    scores = traced.score(outputs, tiled(targets, state.places))
    return Attribution(scores, tree.map_structure(lambda output: output[:1], outputs))


@dataclass(frozen=True)
class _State:
    """The tensors of one run: of the unchanged input, and in the windows or, of other slots, as a whole."""

    plan: WindowPlan
    kept: Mapping[Slot, Tensor]
    starts: Mapping[Slot, Tensor]
    changed: dict[Slot, Tensor]

    @property
    def places(self) -> int:
        return next(iter(self.starts.values())).shape[0]

    def whole(self, slot: Slot) -> Tensor:
        """The whole tensor of a slot (P, ...)."""
        if slot not in self.changed:
            return ops.repeat(self.kept[slot], self.places, axis=0)
        if slot not in self.plan.windows:
            return self.changed[slot]
        space = self.plan.space(slot)
        return self.paste(slot, ops.zeros((self.places, len(space)), "int32"), space)

    def paste(self, slot: Slot, firsts: Tensor, sides: Sequence[int], border: int = ZERO) -> Tensor:
        """The tensor of a slot in boxes (P, *sides, C) that start at firsts (P, axes), beyond the border as well."""
        windows = self.changed.get(slot)
        table = self.kept[slot] if slot in self.plan.windows else _as_table(self.kept[slot])
        if windows is None:
            return self.look_up(table, firsts, sides, slot, border)
        first, own = self.starts[slot], self.plan.windows[slot].sides
        inside, row = True, ops.arange(self.places, dtype="int32")
        row = ops.reshape(row, (-1, *(1 for _ in own)))
        for axis, offsets in enumerate(_positions(firsts - first, sides)):
            inside = inside & (offsets >= 0) & (offsets < own[axis])
            row = row * own[axis] + offsets
        count = table.shape[0]
        rows = ops.where(inside, row + count, _rows(firsts, sides, self.plan.space(slot), border))
        table = ops.concatenate([table, ops.reshape(windows, (-1, windows.shape[-1]))])
        return _take(table, rows)

    def look_up(self, table: Tensor, firsts: Tensor, sides: Sequence[int], slot: Slot, border: int) -> Tensor:
        """Boxes of a table of the positions of a slot."""
        return _take(table, _rows(firsts, sides, self.plan.space(slot), border))


def _run(step: Step, state: _State) -> list[Tensor]:
    """The outputs of a step."""
    node, rule = step.node, step.rule
    slots = dict.fromkeys(node.reads.values())
    if isinstance(rule, Local):
        return [_run_local(node.writes[0], next(iter(slots)), rule, state)]
    if isinstance(rule, Shift):
        return [state.changed[slot] for slot in slots]
    if isinstance(rule, GlobalMean):
        return [_run_mean(node.writes[0], next(iter(slots)), rule, state)]
    if isinstance(rule, Pointwise):
        return tree.flatten(node({slot: _at(slot, node.writes[0], state) for slot in slots}))
    return tree.flatten(node({slot: state.whole(slot) for slot in slots}))


def _at(slot: Slot, written: Slot, state: _State) -> Tensor:
    """A tensor in the windows of the tensor that is written."""
    windows = state.plan.windows
    if slot in windows and windows[slot].equals(windows[written]):
        return state.changed[slot]
    return state.paste(slot, state.starts[written], windows[written].sides)


def _run_local(written: Slot, slot: Slot, rule: Local, state: _State) -> Tensor:
    """A convolution or pooling of the inputs that the outputs in the windows depend on."""
    before, after = state.plan.windows[slot], state.plan.windows[written]
    reach, read = rule.reach, rule.reach.inputs(after)
    if read.equals(before):
        return rule.apply(state.changed[slot])
    stride, padding = (ops.convert_to_tensor(part, "int32") for part in (reach.stride, reach.before))
    firsts = state.starts[written] * stride - padding
    outputs = rule.apply(state.paste(slot, firsts, read.sides, rule.border))
    if not rule.skips_border:
        return outputs
    inside: Any = 1.0
    for positions, side in zip(_positions(firsts, read.sides), state.plan.space(slot)):
        inside = inside * ops.cast((positions >= 0) & (positions < side), "float32")
    return outputs / rule.apply(ops.expand_dims(inside, -1))


def _run_mean(written: Slot, slot: Slot, rule: GlobalMean, state: _State) -> Tensor:
    """The mean of the unchanged map, and the sum of the differences in the window over the number of positions."""
    windows, sides = state.changed[slot], state.plan.windows[slot].sides
    unchanged = state.look_up(state.kept[slot], state.starts[slot], sides, slot, ZERO)
    axes = tuple(range(1, len(windows.shape) - 1))
    change = ops.sum(windows - unchanged, axis=axes, keepdims=rule.keepdims)
    return state.kept[written] + change / math.prod(state.plan.space(slot))


def _as_table(tensor: Tensor) -> Tensor:
    """The positions of (1, *space, C) as rows, and rows of zeros and of the lowest number, by ZERO and LOWEST."""
    channels = tensor.shape[-1]
    border = ops.stack([ops.zeros((channels,)), ops.full((channels,), -float("inf"))])
    return ops.concatenate([ops.cast(ops.reshape(tensor, (-1, channels)), "float32"), border])


def _positions(firsts: Tensor, sides: Sequence[int]) -> list[Tensor]:
    """For each axis the positions in boxes that start at firsts (P, axes), in shapes that broadcast to (P, *sides)."""
    axes = range(len(sides))
    shapes = [(-1, *(sides[axis] if other == axis else 1 for other in axes)) for axis in axes]
    found = [firsts[:, axis, None] + ops.arange(sides[axis], dtype="int32") for axis in axes]
    return [ops.reshape(positions, shape) for positions, shape in zip(found, shapes)]


def _rows(firsts: Tensor, sides: Sequence[int], space: Sequence[int], border: int) -> Tensor:
    """The rows (P, *sides) of the positions in boxes, in a table of a map of shape `space`."""
    inside, row = True, 0
    for positions, side in zip(_positions(firsts, sides), space):
        inside = inside & (positions >= 0) & (positions < side)
        row = row * side + positions
    return ops.where(inside, row, math.prod(space) + border)


def _take(table: Tensor, rows: Tensor) -> Tensor:
    """The rows of a table (rows, C), in the shape (*rows.shape, C)."""
    found = ops.take(table, ops.reshape(rows, (-1,)), axis=0)
    return ops.reshape(found, (*rows.shape, table.shape[-1]))
