"""The graph of a PyTorch module at inference, by torch.fx, and what each of its nodes computes."""

import inspect
import operator
import threading
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import fx
from torch.fx.node import map_aggregate, map_arg
from torch.nn import functional

from keras_actmaps.backend.torch_fx.attention import unfused_product
from keras_actmaps.backend.torch_fx.layers import to_keras_device, unchanged
from keras_actmaps.backend.torch_fx.rewrite import fold_sizes, replace_in_place_operations

HOOKS = ("_forward_hooks", "_backward_hooks", "_backward_pre_hooks")
_tracing = threading.RLock()  # torch.fx patches torch.nn.Module for all threads while it traces


@dataclass(frozen=True)
class Trace:
    """The graph of a module.

    Attributes
    ----------
    module : torch.nn.Module
        An inference copy of the module.
    nodes : list of fx.Node
        Those that the outputs need, in the order in which they run.
    values : mapping of fx.Node to object
        What each node returned for sample images; tensors without data.
    batch_axes : mapping of fx.Node to int
        The axis of each tensor whose size depends on the number of images; 0 where that is not clear.
    dependent : set of fx.Node
        Those that depend on the images.
    identities : set of fx.Node
        Those that return their first input unchanged.
    outputs : structure of fx.Node
        In the structure of the module's outputs.
    containers : mapping of str to fx.Node
        For the path of each module, the node of its last output.
    """

    module: torch.nn.Module
    nodes: list[fx.Node]
    values: Mapping[fx.Node, Any]
    batch_axes: Mapping[fx.Node, int]
    dependent: set[fx.Node]
    identities: set[fx.Node]
    outputs: Any
    containers: dict[str, fx.Node]

    @property
    def input(self) -> fx.Node:
        """The node of the images."""
        return next(node for node in self.nodes if node.op == "placeholder")

    def submodule(self, node: fx.Node) -> torch.nn.Module | None:
        """The module that a node calls; None for a function or a method."""
        return self.module.get_submodule(str(node.target)) if node.op == "call_module" else None

    def as_function(self, node: fx.Node, known: Container[fx.Node]) -> tuple[list[fx.Node], list[fx.Node], Callable]:
        """A node as a function of nodes that are known.

        Returns
        -------
        inputs : list of fx.Node
            The known nodes that are read; one that the node itself reads twice comes twice.
        inner : list of fx.Node
            The nodes between these and the node.
        function : callable
            Of the tensors of `inputs`.
        """
        inputs: list[fx.Node] = []
        inner: list[fx.Node] = []
        map_arg((node.args, node.kwargs), lambda argument: inputs.append(argument) if argument in known else None)

        def visit(node: fx.Node) -> None:
            for argument in node.all_input_nodes:
                if argument in known and argument not in inputs:
                    inputs.append(argument)
                elif argument not in known and argument not in inner:
                    visit(argument)
                    inner.append(argument)

        visit(node)
        return inputs, inner, partial(_run_nodes, self.module, inputs, [*inner, node])


class _Tracer(fx.Tracer):
    """Traces in its own thread only, and collects the last output of each module.

    While torch.fx traces, calls of all modules and reads of their parameters arrive here, those of other threads too.
    """

    def __init__(self, in_steps: bool) -> None:
        super().__init__()
        self.containers: dict[str, fx.Node] = {}
        self._in_steps = in_steps
        self._thread = threading.get_ident()

    def call_module(self, m: torch.nn.Module, forward: Callable, args: tuple, kwargs: dict) -> Any:
        """Record the call of a module."""
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        outputs = super().call_module(m, forward, args, kwargs)
        if isinstance(outputs, fx.Proxy):
            self.containers[self.path_of_module(m)] = outputs.node
        return outputs

    def create_proxy(self, kind: str, target: Any, args: tuple, kwargs: dict, *others: Any, **named: Any) -> Any:
        """Record an operation; a fused attention in steps."""
        if self._in_steps and target is functional.scaled_dot_product_attention:
            return unfused_product(*args, **kwargs)
        return super().create_proxy(kind, target, args, kwargs, *others, **named)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict) -> Any:
        """Record the reading of a parameter."""
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


def inference_copy(
    module: torch.nn.Module, with_values: bool = False, copies: dict[int, torch.nn.Module] | None = None
) -> torch.nn.Module:
    """A copy of a module on the same parameters, in evaluation mode and without forward hooks.

    The copy does not keep the module itself alive.

    Parameters
    ----------
    module : torch.nn.Module
    with_values : bool
        Whether the copy gets the present values of the parameters, in float32 on Keras' device, instead of the
        parameters themselves.
    copies : dict, optional
        Copies made so far by the id of the module, so that a shared module is copied once.
    """
    copies = {} if copies is None else copies
    if isinstance(module, torch.jit.ScriptModule):
        return module
    if id(module) not in copies:
        copy = copies[id(module)] = object.__new__(type(module))
        copy.__dict__.update(module.__dict__, training=False, **{hooks: {} for hooks in HOOKS})
        copy.__dict__["_modules"] = {
            name: None if child is None else inference_copy(child, with_values, copies)
            for name, child in module._modules.items()
        }
        for registry in ("_parameters", "_buffers") if with_values else ():
            tensors = module.__dict__[registry].items()
            copy.__dict__[registry] = {
                name: tensor if tensor is None else to_keras_device(tensor) for name, tensor in tensors
            }
    return copies[id(module)]


def trace_module(module: torch.nn.Module, images: torch.Tensor, in_steps: bool) -> Trace:
    """Trace an inference copy of a module and run the graph once on `images`.

    in_steps: whether `scaled_dot_product_attention` is traced as several operations.

    Raises
    ------
    Exception
        Any error of the module's code that torch.fx cannot trace.
    """
    graph, containers = _symbolic_graph(module, in_steps)
    nodes = _needed_nodes(graph)
    values, others = (_run_all(nodes, module, part) for part in (images, torch.cat([images, images[:1]])))
    fold_sizes(nodes, values, others)
    output = next(node for node in graph.nodes if node.op == "output")
    source = next(node for node in graph.nodes if node.op == "placeholder")
    nodes = _needed_nodes(graph)
    dependent = {source}
    for node in nodes:
        dependent.update({node} if dependent.intersection(node.all_input_nodes) else ())
    if not dependent.issuperset(output.all_input_nodes):
        raise ValueError("an output does not depend on the images")
    identities = {node for node in dependent - {source} if values[node] is _first_value(node, values)}
    shapes = {node: map_aggregate(value, _without_data) for node, value in values.items()}
    batch_axes = {node: _batch_axis(values[node], others[node]) for node in nodes}
    return Trace(module, nodes, shapes, batch_axes, dependent, identities, output.args[0], containers)


def map_outputs(outputs: Any, function: Callable = unchanged) -> Any:
    """Outputs in tuples, lists and dicts of Python's own, with `function` applied to each."""
    if isinstance(outputs, dict):
        return {name: map_outputs(part, function) for name, part in outputs.items()}
    if isinstance(outputs, list):
        return [map_outputs(part, function) for part in outputs]
    if isinstance(outputs, tuple):
        return tuple(map_outputs(part, function) for part in outputs)
    return function(outputs)


def run_node(node: fx.Node, values: Mapping[fx.Node, Any], module: torch.nn.Module) -> Any:
    """What a node returns for the values of its inputs, with the present parameters of `module`."""
    args, kwargs = map_arg((node.args, node.kwargs), values.__getitem__)
    target: Any = node.target
    if node.op == "placeholder":
        return args[0]
    if node.op == "get_attr":
        attribute = operator.attrgetter(target)(module)
        return to_keras_device(attribute) if isinstance(attribute, torch.Tensor) else attribute
    if node.op == "call_module":
        called: Any = inference_copy(module.get_submodule(target), with_values=True)
        if "inplace" in called.__dict__:
            called.inplace = False
        return called(*args, **kwargs)
    if node.op == "call_method":
        # A view fails on strides that differ from those of the traced call, a reshape does not.
        is_view = target == "view" and not isinstance(args[1], torch.dtype)
        return getattr(args[0], "reshape" if is_view else target)(*args[1:], **kwargs)
    return target(*args, **kwargs)


def _needed_nodes(graph: fx.Graph) -> list[fx.Node]:
    """The input and the nodes that the outputs need, in the order in which they run."""
    needed = {node for node in graph.nodes if node.op in ("output", "placeholder")}
    for node in reversed(graph.nodes):
        needed.update(node.all_input_nodes if node in needed else ())
    return [node for node in graph.nodes if node in needed and node.op != "output"]


def _run_all(nodes: list[fx.Node], module: torch.nn.Module, images: torch.Tensor) -> dict[fx.Node, Any]:
    """What each node returns for `images`."""
    values: dict[fx.Node, Any] = {}
    for node in nodes:
        values[node] = images if node.op == "placeholder" else run_node(node, values, module)
    return values


def _symbolic_graph(module: torch.nn.Module, in_steps: bool) -> tuple[fx.Graph, dict[str, fx.Node]]:
    """The graph of a module without in-place operations, and the node of the last output of each module in it."""
    parameters = list(inspect.signature(module.forward).parameters.values())[1:]
    defaults = {
        parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty
    }
    with _tracing:
        tracer = _Tracer(in_steps)
        graph = tracer.trace(module, concrete_args=defaults)
    replace_in_place_operations(graph, module)
    return graph, tracer.containers


def _run_nodes(module: torch.nn.Module, inputs: list[fx.Node], nodes: list[fx.Node], *tensors: torch.Tensor) -> Any:
    """What the last of `nodes` returns where `inputs` have the values `tensors`."""
    values: dict[fx.Node, Any] = dict(zip(inputs, tensors))
    for node in nodes:
        values[node] = run_node(node, values, module)
    return values[nodes[-1]]


def _batch_axis(value: Any, other: Any) -> int:
    """The only axis in which a tensor has another size for another number of images, or 0."""
    if not isinstance(value, torch.Tensor):
        return 0
    axes = [axis for axis, (one, more) in enumerate(zip(value.shape, other.shape)) if one != more]
    return axes[0] if len(axes) == 1 else 0


def _first_value(node: fx.Node, values: Mapping[fx.Node, Any]) -> Any:
    first = next(iter(node.args), None)
    return values.get(first) if isinstance(first, fx.Node) else None


def _without_data(value: Any) -> Any:
    return value.to("meta") if isinstance(value, torch.Tensor) else value
