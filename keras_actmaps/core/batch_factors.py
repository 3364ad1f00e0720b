"""Windows: tokens that a reshape makes a batch of, as in Swin."""

import math
from fractions import Fraction

from keras_actmaps.core.graph import Graph
from keras_actmaps.core.layer_types import operation_name
from keras_actmaps.core.types import Slot


def batch_factors(graph: Graph) -> dict[Slot, Fraction]:
    """For each slot that depends on the inputs the number of elements of its batch for each input: 1, or of windows."""
    found = dict.fromkeys(graph.inputs, Fraction(1))
    for node in graph.nodes:
        read = next((slot for slot in node.reads.values() if slot in found), None)
        if read is None:
            continue
        factor = found[read]
        if operation_name(node.operation) == "Reshape" and len(node.reads) == 1:
            before, after = graph.shapes[read], graph.shapes[node.writes[0]]
            if before.count(None) == after.count(None) == 1:
                factor = factor * Fraction(_size(before), _size(after))
        found.update(dict.fromkeys(node.writes, factor))
    return found


def _size(shape: tuple) -> int:
    """The number of values for each element of the batch."""
    return math.prod(side for side in shape if side is not None)
