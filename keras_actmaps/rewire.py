"""A model's graph as a flat list of steps on the same weights, to be run in another way; the model is not touched.

Nested models are laid out in line (`resnet50/conv1_conv`) and a subclassed model is traced through its `call`
where that uses Keras operations only.
"""

import inspect
import itertools
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import keras
from keras import ops, tree
from keras.src.models.functional import Functional
from keras.src.ops.symbolic_arguments import SymbolicArguments

from keras_actmaps import engine

Slot = int  # the number of a tensor in the graph
OWN = ("keras.", "keras_actmaps.engine.")  # where a layer's `call` is known to do what the layer is named for
KERNELS = (
    *(keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D),
    *(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose),
    *(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D),
    *(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D),
)  # the layers that are a kernel, a bias and an activation


@dataclass(frozen=True, eq=False)
class Step:
    """One call of a layer or an operation: which tensors it reads and which it writes."""

    path: str
    operation: Callable
    arguments: SymbolicArguments
    reads: Mapping[int, Slot]  # id of a symbolic tensor -> its slot
    writes: tuple[Slot, ...]

    def __call__(self, values: Mapping[Slot, object], operation: Callable | None = None):
        """Run on the tensors in `values`, as at inference; what is computed in bfloat16 is handed on in float32."""
        tensors = {symbol: values[slot] for symbol, slot in self.reads.items()}
        args, kwargs = self.arguments.fill_in(tensors)
        if getattr(self.operation, "_call_has_training_arg", False):
            kwargs = {**kwargs, "training": False}
        outputs = (operation or self.operation)(*args, **kwargs)
        if getattr(self.operation, "compute_dtype", "float32") != "bfloat16":
            return outputs
        return tree.map_structure(lambda output: ops.cast(output, "float32"), outputs)


@dataclass(frozen=True)
class Graph:
    """A model laid flat. `places` names the slot of each layer's (last) output, nested models' included."""

    steps: tuple[Step, ...]
    inputs: tuple[Slot, ...]
    outputs: object  # slots, in the structure of the model's outputs
    places: Mapping[str, Slot]
    shapes: Mapping[Slot, tuple]
    is_opaque: bool = False  # a subclassed model that could not be traced: one step, no inner layers

    def below(self, slots) -> tuple[Step, ...]:
        """The steps that depend on any of `slots`."""
        reached, steps = set(slots), []
        for step in self.steps:
            if reached.intersection(step.reads.values()):
                reached.update(step.writes)
                steps.append(step)
        return tuple(steps)

    def above(self, slots) -> tuple[Step, ...]:
        """The steps on which any of `slots` depends."""
        return _above(self.steps, slots)

    def writer(self, slot: Slot) -> Step | None:
        """The step that writes `slot`; None for an input."""
        return next((step for step in self.steps if slot in step.writes), None)


def run(steps, values: Mapping[Slot, object], shifts: Mapping[Slot, object] = MappingProxyType({})) -> dict:
    """Run `steps` on the tensors in `values`; returns these and all that was written.

    shifts: tensors added to a slot as soon as it is known. The gradient at a zero shift is the gradient at the slot,
    whether or not the slot cuts the graph in two.
    """
    values = {slot: value + shifts[slot] if slot in shifts else value for slot, value in values.items()}
    for step in steps:
        outputs = tree.flatten(step(values))
        for slot, value in zip(step.writes, outputs, strict=True):
            values[slot] = value + shifts[slot] if slot in shifts else value
    return values


def run_back(steps, arrived: Mapping[Slot, object], back: Callable) -> dict:
    """Run `steps` backwards: what has arrived at slots is handed on by `back(step, list) -> list` and added up.

    back gets what arrived at the slots that the step writes (None at some of several where nothing did) and returns
    as much for those it reads. A step at which nothing arrived is left out.
    """
    arrived = dict(arrived)
    for step in reversed(steps):
        here = [arrived.get(slot) for slot in step.writes]
        if any(part is not None for part in here):
            for slot, part in zip(step.reads.values(), back(step, here), strict=True):
                arrived[slot] = arrived[slot] + part if slot in arrived else part
    return arrived


def flatten(model: keras.Model) -> Graph:
    """The graph of a built model. Raises ValueError for a model without weights or with several inputs."""
    function = _function(model)
    if function is None:
        return _opaque(model)
    slots, steps, places, shapes = itertools.count(), [], {}, {}

    def new(tensor) -> Slot:
        slot = next(slots)
        shapes[slot] = tuple(tensor.shape)
        return slot

    def walk(function, given: list[Slot], prefix: str) -> list[Slot]:
        scope = dict(zip(map(id, function.inputs), given))
        for node in _nodes(function):
            if node.is_input or any(id(tensor) not in scope for tensor in node.input_tensors):
                continue
            reads = {id(tensor): scope[id(tensor)] for tensor in node.input_tensors}
            path = prefix + node.operation.name
            inner = _function(node.operation) if isinstance(node.operation, keras.Model) else None
            if inner is not None:
                symbols = [t for t in tree.flatten(node.arguments.args) if id(t) in reads]
                written = walk(inner, [reads[id(tensor)] for tensor in symbols], path + "/")
            else:
                written = [new(tensor) for tensor in node.outputs]
                steps.append(Step(path, in_float32(node.operation), node.arguments, reads, tuple(written)))
            places[path] = written[-1]
            scope.update(zip(map(id, node.outputs), written))
        return [scope[id(tensor)] for tensor in function.outputs]

    given = [new(tensor) for tensor in function.inputs]
    written = walk(function, given, "")
    outputs = tree.pack_sequence_as(function._outputs_struct, written)
    places |= {path: places[step] for path, step in getattr(model, "containers", {}).items()}
    return Graph(tuple(steps), tuple(given), outputs, places, shapes, getattr(model, "is_opaque", False))


def linear_top(graph: Graph) -> Graph:
    """The graph without a softmax or sigmoid at its outputs, be it a layer, an operation or an `activation=`."""
    steps = {step.writes: step for step in graph.steps}

    def strip(slot: Slot) -> Slot:
        step = graph.writer(slot)
        if step is None:
            return slot
        if _is_squashing(step.operation) or is_identity(step.operation):
            (read,) = set(step.reads.values())
            return read if _is_squashing(step.operation) else strip(read)
        if _squashes(getattr(step.operation, "activation", None)):
            steps[step.writes] = replace(step, operation=with_activation(step.operation, keras.activations.linear))
        return slot

    outputs = tree.map_structure(strip, graph.outputs)
    return replace(graph, steps=_above(steps.values(), tree.flatten(outputs)), outputs=outputs)


def _above(steps, slots) -> tuple[Step, ...]:
    """The steps on which `slots` depend."""
    needed, kept = set(slots), []
    for step in reversed(list(steps)):
        if needed.intersection(step.writes):
            needed.update(step.reads.values())
            kept.append(step)
    return tuple(reversed(kept))


def split_activations(graph: Graph) -> Graph:
    """The graph with each `activation=` of a layer with a kernel as a step of its own."""
    slots = itertools.count(1 + max(graph.shapes))
    steps, shapes = [], dict(graph.shapes)
    for step in graph.steps:
        activation = getattr(step.operation, "activation", None)
        if not is_plain(step.operation, KERNELS) or activation in (None, keras.activations.linear):
            steps.append(step)
            continue
        between = next(slots)
        shapes[between] = shapes[step.writes[0]]
        layer = with_activation(step.operation, keras.activations.linear)
        steps.append(replace(step, operation=layer, writes=(between,)))
        path = f"{step.path}.{getattr(activation, '__name__', 'activation')}"
        steps.append(step_of(path, activation, between, step.writes, shapes))
    return replace(graph, steps=tuple(steps), shapes=shapes)


def step_of(path: str, operation: Callable, read: Slot, writes: tuple[Slot, ...], shapes: Mapping) -> Step:
    """The step that calls `operation` on one tensor."""
    symbol = keras.KerasTensor(shapes[read])
    return Step(path, operation, SymbolicArguments(symbol), {id(symbol): read}, writes)


def is_plain(operation, classes: tuple) -> bool:
    """One of Keras' own layers of these classes, or a subclass that leaves its `call` alone or adopts a module."""
    return isinstance(operation, classes) and type(operation).call.__module__.startswith(OWN)


def with_activation(layer: keras.layers.Layer, activation: Callable) -> keras.layers.Layer:
    """The layer on the same variables with another activation; the layer itself stays as it is."""
    return twin(layer, activation=activation)


def in_float32(operation):
    """A mixed-precision layer on the same variables that computes in float32; anything else as it is."""
    if getattr(operation, "compute_dtype", "float32") not in ("float16", "bfloat16"):
        return operation
    return twin(operation, _dtype_policy=keras.dtype_policies.DTypePolicy("float32"))


def with_precision(graph: Graph, precision: str, name: str) -> Graph:
    """The graph with its layers with a kernel in bfloat16 where asked for; ValueError where they cannot be seen."""
    if precision not in engine.PRECISIONS:
        raise ValueError(f"no precision {precision!r}; there are: {', '.join(engine.PRECISIONS)}")
    if precision != "bfloat16":
        return graph
    if graph.is_opaque:
        raise ValueError(f"precision='bfloat16' is set layer by layer, and the layers of {name!r} cannot be seen; "
                         "float32 and tf32 work")  # fmt: skip
    policy = keras.dtype_policies.DTypePolicy("mixed_bfloat16")
    steps = (replace(step, operation=twin(step.operation, _dtype_policy=policy))
             if is_plain(step.operation, KERNELS) else step for step in graph.steps)  # fmt: skip
    return replace(graph, steps=tuple(steps))


def twin(layer, **attributes):
    """A shallow copy of a layer with other attributes, without the copy protocol, which Keras turns into a save."""
    copy = object.__new__(type(layer))
    copy.__dict__.update(layer.__dict__, **attributes)
    return copy


def _squashes(activation) -> bool:
    return getattr(activation, "__name__", "") in ("softmax", "sigmoid", "log_softmax")


def _is_squashing(operation) -> bool:
    """A Softmax or Sigmoid layer or operation, or an Activation layer with one of them."""
    if type(operation).__name__ in ("Softmax", "Sigmoid", "LogSoftmax"):
        return True
    return isinstance(operation, keras.layers.Activation) and _squashes(operation.activation)


def is_identity(operation) -> bool:
    """A layer that hands on its input at inference: Dropout, Identity, Activation("linear")."""
    if isinstance(operation, keras.layers.Activation):
        return operation.activation is keras.activations.linear
    return isinstance(operation, (keras.layers.Identity, keras.layers.Dropout, keras.layers.SpatialDropout2D,
                                  keras.layers.SpatialDropout1D, keras.layers.SpatialDropout3D,
                                  keras.layers.GaussianNoise, keras.layers.GaussianDropout))  # fmt: skip


def _nodes(function):
    """The nodes of a Keras function in the order in which Keras runs them."""
    return [
        node for depth in sorted(function._nodes_by_depth, reverse=True) for node in function._nodes_by_depth[depth]
    ]


def _function(model: keras.Model) -> keras.Function | None:
    """The symbolic graph behind a model: its own, or its `call` traced; None where there is none to be had."""
    if isinstance(model, keras.Sequential) and type(model).call is keras.Sequential.call:
        return model._functional
    if isinstance(model, Functional) and type(model).call is Functional.call:
        return model
    return _trace(model)


def _trace(model: keras.Model) -> keras.Function | None:
    shape = input_shape(model)
    images = keras.KerasTensor(shape, dtype=keras.backend.floatx())
    training = {"training": False} if "training" in inspect.signature(model.call).parameters else {}
    try:
        return keras.Function(images, model.call(images, **training))
    except Exception:  # whatever the user's code raises when given a symbol means: it cannot be traced
        return None


def input_shape(model: keras.Model) -> tuple:
    """The shape of a model's one input, with None for the batch."""
    if not model.built:
        raise ValueError(f"{model.name!r} has no weights yet; build it or call it on an image first")
    shapes = [tuple(tensor.shape) for tensor in tree.flatten(getattr(model, "inputs", None) or [])]
    built = getattr(model, "_build_shapes_dict", None) or {}
    if not shapes:
        shapes = [tuple(shape) for shape in built.values() if isinstance(shape, (tuple, list))]
    if not shapes:
        raise ValueError(f"the input shape of {model.name!r} is not known; call it on an image first")
    if len(shapes) != 1:
        raise ValueError(f"{model.name!r} has {len(shapes)} inputs; only models of one input can be explained")
    return (None, *shapes[0][1:])


def _opaque(model: keras.Model) -> Graph:
    """A subclassed model as one step; it is held weakly, so that what holds the graph does not keep it alive."""
    symbol = keras.KerasTensor(input_shape(model))
    reference = weakref.ref(model)
    takes_training = "training" in inspect.signature(model.call).parameters

    def call(images):
        return reference()(images, **({"training": False} if takes_training else {}))

    step = Step(model.name, call, SymbolicArguments(symbol), {id(symbol): 0}, (1,))
    return Graph((step,), (0,), 1, {}, {0: symbol.shape}, is_opaque=True)
