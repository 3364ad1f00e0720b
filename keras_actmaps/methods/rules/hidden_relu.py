"""ReLU in other spellings: those that compute it, and those inside layers or spread over several operations."""

import itertools
import weakref
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_actmaps import backend
from keras_actmaps.core._keras_compat import all_layers, symbolic_function
from keras_actmaps.core.graph import Graph, Node
from keras_actmaps.core.layer_types import RELU, layer_type, operation_name
from keras_actmaps.core.plain_layers import OWN_MODULES
from keras_actmaps.core.trace_layers import is_custom
from keras_actmaps.core.types import Slot

SPELLED = ("Maximum", "Clip", "Threshold")  # Keras operations that are ReLU for some constants
KINKS = ("Greater", "GreaterEqual", "Less", "LessEqual", "Sign", "Heaviside", "Abs", "Absolute")
SQUARES = ("Square", "Power", "Multiply")
CONSTANTS = ("ZerosLike", "FullLike")
STEPS = (  # operations through which a ReLU of several operations may lead
    *KINKS,
    *("Cast", "LogicalNot", "Where", "Sqrt", *CONSTANTS, *SQUARES),
    *("Add", "Subtract", "Divide", "TrueDivide", "Negative"),
    *("Transpose", "Moveaxis", "Swapaxes", "Reshape", "ExpandDims", "Squeeze", "GetItem"),
)
JOINED = ("Where", "Add", "Subtract", "Multiply", "Divide", "TrueDivide")
PICKED = ("Max", "Amax", "Min", "Amin", "Sort", "TopK")
PILED = ("Stack", "Concatenate")
WITH_FUNCTIONS = ("Map", "Scan", "AssociativeScan", "WhileLoop", "ForiLoop", "Cond", "Switch", "VectorizedMap")

_known: weakref.WeakKeyDictionary[Node, bool] = weakref.WeakKeyDictionary()


def computes_relu(node: Node, shapes: Mapping[Slot, tuple]) -> bool:
    """Whether a node under another name is a ReLU, capped or leaky or not, by its values: `maximum(x, 0)`, a lambda."""
    operation = node.operation
    name, is_layer = operation_name(operation), isinstance(operation, keras.layers.Layer)
    function = operation.activation if isinstance(operation, keras.layers.Activation) else operation
    is_function = not isinstance(function, keras.Operation) and not _is_own(function)
    if len(set(node.reads.values())) != 1 or len(node.writes) != 1:
        return False
    if not (name in SPELLED or is_function or (is_layer and is_custom(operation))):
        return False
    if node not in _known:
        _known[node] = _has_values_of_relu(node, shapes)
    return _known[node]


def _is_own(function: Any) -> bool:
    return getattr(function, "__module__", "").startswith((*OWN_MODULES, "keras_actmaps."))


def _has_values_of_relu(node: Node, shapes: Mapping[Slot, tuple], sign: int = 1) -> bool:
    """Whether the values are x, to a cap, where x is positive, and a x with 0 <= a < 1 elsewhere.

    sign: -1 for the values of -f(-x).
    """
    (read,) = set(node.reads.values())
    shape = [3, *(4 if side is None else side for side in shapes[read][1:])]
    x = np.random.default_rng(0).uniform(-8, 8, shape).astype("float32")
    try:
        with backend.eager_scope():
            y = sign * backend.to_numpy(node({read: keras.ops.convert_to_tensor(sign * x)}))
    except Exception:  # any error of the user's function means that it is not a plain activation
        return False
    negative = x < 0
    if y.shape != x.shape or negative.all() or not negative.any():
        return False
    slope, cap = np.mean(y[negative] / x[negative]), y[~negative].max()
    expected = np.where(negative, slope * x, np.minimum(x, cap))
    return bool(0 <= slope < 1 and cap > 0 and np.allclose(y, expected, atol=1e-5))


def hidden_relu(node: Node, graph: Graph) -> str | None:
    """Why the gradients of all ReLUs inside a node cannot be replaced; None where there is none or it is the node."""
    if computes_relu(node, graph.shapes):
        return None
    if _is_spread(node, graph):
        return "computes one together with other operations; write it as keras.ops.relu"
    if operation_name(node.operation) in WITH_FUNCTIONS:
        return "runs a function that cannot be traced and may contain one"
    if layer_type(node) not in ("recurrent", None):
        return None
    names = _names_inside(node.operation)
    if not names.isdisjoint(RELU):
        return "contains one that it cannot reach"
    return "cannot be traced and may contain one" if "" in names else None


def _names_inside(operation: Any) -> set[str]:
    """The names of the layers, operations and activations inside an operation; "" for code that cannot be read."""
    names = {name.replace("ReLU6", "Relu6") for name in getattr(operation, "inner_names", ())}
    if not isinstance(operation, keras.layers.Layer):
        return names
    for part in all_layers(operation):
        function = symbolic_function(part) if isinstance(part, keras.Model) else None
        if function is not None:
            names |= {operation_name(one) for one in function.operations if not isinstance(one, keras.Model)}
        elif is_custom(part):
            names.add("")
        else:
            activations = (getattr(part, name, None) for name in ("activation", "recurrent_activation"))
            names |= {operation_name(part), *(_activation_name(one) for one in activations if one is not None)}
    return names


def _activation_name(function: Any) -> str:
    """The name of an activation function; "" for one that is not Keras' own, which may be a ReLU."""
    name = operation_name(function)
    return name if name in RELU or _is_own(function) or _is_own(type(function)) else ""


def _is_spread(node: Node, graph: Graph) -> bool:
    """Whether a node may complete a ReLU: `x * (x > 0)`, `maximum(x, 0.1 * x)`, `minimum(x, 0)`, `max(stack([x, 0]))`.

    It does where two of its arguments depend on one tensor through `STEPS`, and one of them has a kink.
    """
    name, slots = operation_name(node.operation), set(node.reads.values())
    if name in ("Maximum", "Minimum"):
        return _has_values_of_relu(node, graph.shapes, -1) if len(slots) == 1 else _may_compare(slots, graph)
    if name in PICKED:
        piles = [one for one in _steps_to(slots, graph, (*STEPS, *PILED)) if operation_name(one.operation) in PILED]
        reads = [set(one.reads.values()) for one in piles]
        return any(len(pile) == 1 or _may_compare(pile, graph) for pile in reads)
    return name in JOINED and _have_common_source(slots, graph, with_kink=True)


def _may_compare(slots: set[Slot], graph: Graph) -> bool:
    """Whether one of the slots may be a constant, or two of them multiples of one tensor."""
    names = {operation_name(one.operation) for one in _steps_to(slots, graph)}
    return not names.isdisjoint(CONSTANTS) or _have_common_source(slots, graph)


def _has_kink(node: Node, graph: Graph) -> bool:
    """Whether an operation has a kink or a jump; the root of a square is the absolute value."""
    if operation_name(node.operation) != "Sqrt":
        return operation_name(node.operation) in KINKS
    below = [graph.producer(slot) for slot in node.reads.values()]
    return any(one is not None and operation_name(one.operation) in SQUARES for one in below)


def _have_common_source(slots: set[Slot], graph: Graph, with_kink: bool = False) -> bool:
    """Whether two of the slots depend on one tensor through `STEPS`, of which one has a kink if that is required."""
    ways = {slot: _steps_to({slot}, graph) for slot in slots}
    sources = {slot: {slot}.union(*(one.reads.values() for one in way)) for slot, way in ways.items()}
    bent = {slot for slot, way in ways.items() if not with_kink or any(_has_kink(one, graph) for one in way)}
    return any(sources[one] & sources[two] and bent & {one, two} for one, two in itertools.combinations(slots, 2))


def _steps_to(slots: set[Slot], graph: Graph, steps: tuple[str, ...] = STEPS) -> list[Node]:
    """The nodes of these operations that lead to slots without any other in between."""
    found: dict[Node, None] = {}
    waiting = list(slots)
    while waiting:
        node = graph.producer(waiting.pop())
        if node is not None and node not in found and operation_name(node.operation) in steps:
            found[node] = None
            waiting += node.reads.values()
    return list(found)
