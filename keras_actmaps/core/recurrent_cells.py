"""One time step of the cells of recurrent layers as a graph of kernels, activations, gates and sums."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops

from keras_actmaps.core._keras_compat import SymbolicArguments
from keras_actmaps.core.graph import Graph, Node, make_node
from keras_actmaps.core.linear import Linear
from keras_actmaps.core.types import Slot, Tensor

CELLS = (layers.LSTMCell, layers.GRUCell, layers.SimpleRNNCell)


@dataclass(frozen=True)
class Gated:
    """A product whose first factor is a gate."""

    def __call__(self, gate: Tensor, signal: Tensor) -> Tensor:
        return gate * signal


class _Step:
    """Collects the nodes of a step."""

    def __init__(self, path: str):
        self.path = path
        self.nodes: list[Node] = []
        self.shapes: dict[Slot, tuple] = {}

    def slot(self, width: int) -> Slot:
        slot = len(self.shapes)
        self.shapes[slot] = (None, width)
        return slot

    def add(self, name: str, operation: Any, reads: Any, width: int) -> Slot:
        slot = self.slot(width)
        self.nodes.append(make_node(f"{self.path}/{name}", operation, reads, (slot,), self.shapes))
        return slot

    def gated(self, name: str, gate: Slot, signal: Slot, width: int) -> Slot:
        slot = self.slot(width)
        symbols = [keras.KerasTensor(self.shapes[part]) for part in (gate, signal)]
        reads = dict(zip(map(id, symbols), (gate, signal)))
        self.nodes.append(Node(f"{self.path}/{name}", Gated(), SymbolicArguments(*symbols), reads, (slot,)))
        return slot

    def activated(self, name: str, function: Any, read: Slot, width: int) -> Slot:
        return read if function is keras.activations.linear else self.add(name, function, read, width)

    def joined(self, name: str, *reads: Slot) -> Slot:
        width = sum(self.shapes[slot][-1] for slot in reads)
        return self.add(name, layers.Concatenate(), list(reads), width)

    def kernel(self, name: str, cell: Any, index: int, read: Slot, which: str = "both") -> Slot:
        """The affine map of one gate: of inputs and state joined, of the inputs, or of the state."""

        def weights(inputs: Tensor) -> tuple[Tensor, Tensor]:
            return _kernel(cell, index, which), _bias(cell, index, which)

        return self.add(name, Linear(cell, ops.matmul, weights), read, cell.units)


def step_graph(cells: Sequence[Any], width: int, path: str) -> Graph:
    """The graph of one step of cells: (inputs, *states) -> (outputs, *new states), each (N, units)."""
    step = _Step(path)
    x = step.slot(width)
    widths = [[cell.units] * (2 if isinstance(cell, layers.LSTMCell) else 1) for cell in cells]
    states = [[step.slot(units) for units in of_cell] for of_cell in widths]
    output, after = x, list[Slot]()
    for cell, before in zip(cells, states):
        build = _lstm if isinstance(cell, layers.LSTMCell) else _gru if isinstance(cell, layers.GRUCell) else _simple
        new = build(step, cell, output, *before)
        output, after = new[0], [*after, *new]
    inputs = (x, *(slot for of_cell in states for slot in of_cell))
    return Graph(tuple(step.nodes), inputs, [output, *after], {}, step.shapes)


def _lstm(step: _Step, cell: Any, x: Slot, h: Slot, c: Slot) -> list[Slot]:
    """c' = f c + i g, h' = o tanh(c')."""
    units, gate = cell.units, cell.recurrent_activation
    both = step.joined("joined", x, h)
    i, f, g, o = (step.kernel(name, cell, index, both) for index, name in enumerate("ifgo"))
    i, f, o = (step.activated(f"{name}_gate", gate, slot, units) for name, slot in zip("ifo", (i, f, o)))
    g = step.activated("signal", cell.activation, g, units)
    new, kept = step.gated("new", i, g, units), step.gated("kept", f, c, units)
    carry = step.add("carry", layers.Add(), [new, kept], units)
    shown = step.activated("shown", cell.activation, carry, units)
    return [step.gated("output", o, shown, units), carry]


def _gru(step: _Step, cell: Any, x: Slot, h: Slot) -> list[Slot]:
    """h' = z h + (1 - z) g, with g = tanh of x and of the state behind the gate r."""
    units, gate = cell.units, cell.recurrent_activation
    both = step.joined("joined", x, h)
    z, r = (step.kernel(name, cell, index, both) for index, name in enumerate("zr"))
    z, r = (step.activated(f"{name}_gate", gate, slot, units) for name, slot in (("z", z), ("r", r)))
    if cell.reset_after:
        recurrent = step.gated("reset", r, step.kernel("recurrent", cell, 2, h, "state"), units)
        g = step.add("sum", layers.Add(), [step.kernel("g", cell, 2, x, "inputs"), recurrent], units)
    else:
        g = step.kernel("g", cell, 2, step.joined("joined_reset", x, step.gated("reset", r, h, units)))
    g = step.activated("signal", cell.activation, g, units)
    rest = step.add("complement", _complement, z, units)
    kept, new = step.gated("kept", z, h, units), step.gated("new", rest, g, units)
    return [step.add("output", layers.Add(), [kept, new], units)]


def _simple(step: _Step, cell: Any, x: Slot, h: Slot) -> list[Slot]:
    """h' = activation(W x + U h + b)."""
    return [
        step.activated("output", cell.activation, step.kernel("sum", cell, 0, step.joined("joined", x, h)), cell.units)
    ]


def _complement(gate: Tensor) -> Tensor:
    return 1.0 - gate


def _kernel(cell: Any, index: int, which: str) -> Tensor:
    """Columns of one gate in the kernel, in the recurrent kernel, or in both."""
    parts = {"inputs": [cell.kernel], "state": [cell.recurrent_kernel], "both": [cell.kernel, cell.recurrent_kernel]}
    columns = slice(index * cell.units, (index + 1) * cell.units)
    return ops.concatenate([ops.cast(ops.convert_to_tensor(part), "float32")[:, columns] for part in parts[which]])


def _bias(cell: Any, index: int, which: str) -> Tensor:
    """The bias of one gate; a GRU with `reset_after` has one for the inputs and one for the state."""
    if not cell.use_bias:
        return ops.zeros(())
    bias = ops.cast(ops.convert_to_tensor(cell.bias), "float32")[..., index * cell.units : (index + 1) * cell.units]
    if len(bias.shape) == 1:
        return bias
    return {"inputs": bias[0], "state": bias[1], "both": bias[0] + bias[1]}[which]
