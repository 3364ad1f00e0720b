"""Recurrent layers as a graph of one time step: LSTM, GRU, SimpleRNN, and RNN over these cells, stacked or not.

The step is run again at each time, so that a propagation rule can pass through its gates, sums and kernels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops, tree

from keras_actmaps.core._keras_compat import shallow_copy
from keras_actmaps.core.graph import Graph, Node, run_nodes
from keras_actmaps.core.plain_layers import is_plain
from keras_actmaps.core.recurrent_cells import CELLS, step_graph
from keras_actmaps.core.types import Slot, Tensor

DIRECTIONS = ("forward_layer", "backward_layer")  # of Bidirectional


@dataclass(frozen=True)
class Roles:
    """The symbols of the arguments of a recurrent node, by their part: sequence, initial states, mask or None."""

    sequence: int
    states: tuple[int, ...]
    mask: int | None


@dataclass(frozen=True)
class Rollout:
    """A forward pass: the inputs (T, N, F) in the order of processing, and the states before each step (T, N, U)."""

    inputs: Tensor
    states: Sequence[Tensor]


def is_recurrent(operation: Any) -> bool:
    """Whether `step_of` describes this layer."""
    return is_plain(operation, (layers.RNN,)) and all(is_plain(cell, CELLS) for cell in _cells(operation))


def is_stateful(operation: Any) -> bool:
    """Whether a recurrent layer starts from the states at which its last call ended, and changes them."""
    return isinstance(operation, (layers.RNN, layers.Bidirectional)) and bool(operation.stateful)


def stateless(layer: Any) -> Any:
    """A copy of a stateful layer on the same variables that starts from zeros."""
    inner = {name: stateless(getattr(layer, name)) for name in DIRECTIONS if hasattr(layer, name)}
    return shallow_copy(layer, stateful=False, **inner)


def step_of(node: Node, shapes: Mapping[Slot, tuple]) -> Graph:
    """The graph of one time step: from the input and the states to the output and the new states."""
    width = shapes[node.reads[roles_of(node).sequence]][-1]
    return step_graph(_cells(node.operation), width, node.path)


def roles_of(node: Node) -> Roles:
    """The parts of the arguments of a recurrent node."""
    names = ("sequence", "initial_state", "mask")
    arguments = {**dict(zip(names, node.arguments.args)), **node.arguments.kwargs}
    symbols = {
        name: [id(one) for one in tree.flatten(arguments.get(name)) if isinstance(one, keras.KerasTensor)]
        for name in names[1:]
    }
    mask = symbols["mask"][0] if symbols["mask"] else None
    return Roles(id(node.arguments.args[0]), tuple(symbols["initial_state"]), mask)


def roll_out(node: Node, step: Graph, values: Mapping[Slot, Tensor], mask: Tensor | None) -> Rollout:
    """Run a recurrent node on the tensors of its slots. mask: (T, N, 1), as from `mask_of`."""
    roles = roles_of(node)
    inputs = _in_order(node, ops.cast(values[node.reads[roles.sequence]], "float32"))
    widths = [step.shapes[slot][-1] for slot in step.inputs[1:]]
    start = [ops.cast(values[node.reads[symbol]], "float32") for symbol in roles.states]
    start = start or [ops.zeros((inputs.shape[1], width), "float32") for width in widths]

    def body(states: list, now: list) -> tuple[list, list]:
        x, *masked = now
        known = run_nodes(step.nodes, dict(zip(step.inputs, [x, *states])))
        after = [known[slot] for slot in step.outputs[1:]]
        after = [ops.where(masked[0], new, old) for new, old in zip(after, states)] if masked else after
        return after, after

    _, after = ops.scan(body, start, [inputs] if mask is None else [inputs, mask])
    return Rollout(inputs, [ops.concatenate([first[None], rest[:-1]]) for first, rest in zip(start, after)])


def mask_of(node: Node, values: Mapping[Slot, Tensor]) -> Tensor | None:
    """The mask of a recurrent node as booleans (T, N, 1) in the order of processing; None without one."""
    symbol = roles_of(node).mask
    if symbol is None:
        return None
    return _in_order(node, ops.cast(values[node.reads[symbol]], "bool")[..., None])


def back_through_time(
    node: Node, step: Graph, rollouts: Sequence[Rollout], mask: Tensor | None, arrived: Sequence, visit: Callable
) -> list:
    """Propagate values backward through the steps of a recurrent node.

    Parameters
    ----------
    node, step
        The node and the graph of its step.
    rollouts : sequence of Rollout
        One or more forward passes under the same mask.
    mask : tensor or None
        As for `roll_out`. A step that is masked passes the values of the states on.
    arrived : sequence of tensor or None
        The values at the slots that the node writes.
    visit : callable
        `(list of the values at the inputs of the step, one for each rollout, values at its outputs) -> values at its
        inputs`, all as mappings of slots to tensors.

    Returns
    -------
    list
        The value for each slot that the node reads, None for a mask.
    """
    inputs, states = rollouts[0].inputs, rollouts[0].states
    output, *after = step.outputs
    at_outputs = _per_step(node, arrived[0], inputs.shape[0], step.shapes[output][-1], inputs.shape[1])
    final = list(arrived[1:]) or [None] * len(states)
    start = [ops.zeros_like(state[0]) if part is None else part for part, state in zip(final, states)]
    zero_if_masked = mask is not None and node.operation.zero_output_for_mask

    def body(carry: list, now: list) -> tuple[list, list]:
        carried, (received, *now) = carry[:-1], now
        masked = now.pop() if mask is not None else None
        received = ops.where(masked, received, 0.0) if zero_if_masked else received
        carried = [part + received if slot == output else part for slot, part in zip(after, carried)]
        count = len(step.inputs)
        known = [dict(zip(step.inputs, now[index : index + count])) for index in range(0, len(now), count)]
        found = visit(known, dict(zip(after, carried)))
        sequence, *before = [found.get(slot, ops.zeros_like(known[0][slot])) for slot in step.inputs]
        if masked is not None:
            before = [ops.where(masked, new, old) for new, old in zip(before, carried)]
            sequence = ops.where(masked, sequence, 0.0)
        return [*before, sequence], [*before, sequence]

    series = [at_outputs, *(part for one in rollouts for part in (one.inputs, *one.states))]
    series = [*series, mask] if mask is not None else series
    carry, parts = ops.scan(body, [*start, ops.zeros_like(inputs[0])], [ops.flip(part, axis=0) for part in series])
    roles = roles_of(node)
    of_symbol = dict(zip(roles.states, carry[:-1]))
    of_symbol[roles.sequence] = _in_order(node, ops.flip(parts[-1], axis=0), inverse=True)
    return [of_symbol.get(symbol) for symbol in node.reads]


def _per_step(node: Node, part: Tensor | None, steps: int, width: int, count: int) -> Tensor:
    """The values at the outputs of the node as (T, N, U)."""
    if part is None:
        return ops.zeros((steps, count, width), "float32")
    if node.operation.return_sequences:
        return ops.swapaxes(part, 0, 1)  # outputs stay in the order of processing
    return ops.concatenate([ops.zeros((steps - 1, count, width), part.dtype), part[None]])


def _in_order(node: Node, values: Tensor, inverse: bool = False) -> Tensor:
    """(N, T, ...) as (T, N, ...) in the order of processing, or the inverse."""
    if inverse and node.operation.go_backwards:
        values = ops.flip(values, axis=0)
    values = ops.swapaxes(values, 0, 1)
    return ops.flip(values, axis=0) if node.operation.go_backwards and not inverse else values


def _cells(layer: Any) -> list:
    """The cells of a recurrent layer, from the first to the last."""
    cell = layer.cell
    is_stack = is_plain(cell, (layers.StackedRNNCells,)) and not getattr(cell, "reverse_state_order", False)
    return list(cell.cells) if is_stack else [cell]
