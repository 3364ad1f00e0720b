"""What torch.fx sees of a module: its graph at inference, without side effects, and what each node computes."""

import inspect
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import fx
from torch.fx.node import map_aggregate, map_arg

from keras_actmaps.backend.torch_fx.layers import here

HOOKS = ("_forward_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True)
class Trace:
    """A module's graph.

    nodes: those that the outputs need, in order; values: what each gives for some images, without data; depends:
    those that depend on the images; relays: those that hand on their first input; outputs: nodes, in the structure of
    the module's; containers: {a module's path: the node of its last output}.
    """

    twin: torch.nn.Module
    nodes: list[fx.Node]
    values: dict[fx.Node, object]
    depends: set[fx.Node]
    relays: set[fx.Node]
    outputs: object
    containers: dict[str, fx.Node]

    @property
    def image(self) -> fx.Node:
        """The node of the images."""
        return next(node for node in self.nodes if node.op == "placeholder")

    def module(self, node: fx.Node) -> torch.nn.Module | None:
        """The module that a node calls."""
        return self.twin.get_submodule(node.target) if node.op == "call_module" else None

    def expression(self, node: fx.Node, known) -> tuple[list[fx.Node], list[fx.Node], Callable]:
        """A node as a function of nodes that are known: (these, what lies between, the function of their tensors).

        An input that the node itself names twice comes twice.
        """
        leaves, inner = [], []
        map_arg((node.args, node.kwargs), lambda one: leaves.append(one) if one in known else None)

        def visit(node: fx.Node) -> None:
            for one in node.all_input_nodes:
                if one in known and one not in leaves:
                    leaves.append(one)
                elif one not in known and one not in inner:
                    visit(one)
                    inner.append(one)

        visit(node)
        return leaves, inner, partial(_run_all, self.twin, leaves, [*inner, node])


class _Tracer(fx.Tracer):
    def __init__(self):
        super().__init__()
        self.containers: dict = {}

    def call_module(self, module, forward, args, kwargs):
        outputs = super().call_module(module, forward, args, kwargs)
        if isinstance(outputs, fx.Proxy):
            self.containers[self.path_of_module(module)] = outputs.node
        return outputs


def at_inference(module: torch.nn.Module, is_placed: bool = False, known: dict | None = None) -> torch.nn.Module:
    """A module on the same parameters, in evaluation mode and without forward hooks; it does not hold `module`.

    is_placed: on the values that the parameters have now, in float32 and where Keras computes.
    """
    known = {} if known is None else known
    if isinstance(module, torch.jit.ScriptModule):
        return module
    if id(module) not in known:
        twin = known[id(module)] = object.__new__(type(module))
        twin.__dict__.update(module.__dict__, training=False, **{hooks: {} for hooks in HOOKS})
        children = module._modules.items()
        twin.__dict__["_modules"] = {
            name: None if part is None else at_inference(part, is_placed, known) for name, part in children
        }
        for kind in ("_parameters", "_buffers") if is_placed else ():
            tensors = module.__dict__[kind].items()
            twin.__dict__[kind] = {name: tensor if tensor is None else here(tensor) for name, tensor in tensors}
    return known[id(module)]


def traced(twin: torch.nn.Module, images) -> Trace:
    """The graph of a module at inference, run once on images; raises whatever there is where it cannot be traced."""
    tracer = _Tracer()
    parameters = list(inspect.signature(twin.forward).parameters.values())[1:]
    defaults = {one.name: one.default for one in parameters if one.default is not one.empty}
    graph = tracer.trace(twin, concrete_args=defaults)
    _replace_nothing_in_place(graph, twin)
    output = next(node for node in graph.nodes if node.op == "output")
    image = next(node for node in graph.nodes if node.op == "placeholder")
    needed, values, depends = {output, image}, {image: images}, {image}
    for node in reversed(graph.nodes):
        needed.update(node.all_input_nodes if node in needed else ())
    nodes = [node for node in graph.nodes if node in needed and node is not output]
    for node in nodes:
        if node is not image:
            values[node] = run(node, values, twin)
            depends.update({node} if depends.intersection(node.all_input_nodes) else ())
    if not depends.issuperset(output.all_input_nodes):
        raise ValueError("an output does not depend on the images")
    relays = {node for node in depends - {image} if values[node] is values.get(next(iter(node.args), None))}
    values = {node: map_aggregate(value, _without_data) for node, value in values.items()}
    return Trace(twin, nodes, values, depends, relays, output.args[0], tracer.containers)


def plain(outputs, function: Callable = lambda part: part):
    """Outputs in plain tuples, lists and dicts, each given to a function."""
    if isinstance(outputs, dict):
        return {name: plain(part, function) for name, part in outputs.items()}
    if isinstance(outputs, (tuple, list)):
        return (list if isinstance(outputs, list) else tuple)(plain(part, function) for part in outputs)
    return function(outputs)


def run(node: fx.Node, values: dict, twin: torch.nn.Module):
    """What a node gives for what its inputs gave."""
    args, kwargs = map_arg((node.args, node.kwargs), values.__getitem__)
    if node.op == "placeholder":
        return args[0]
    if node.op == "get_attr":
        found = operator.attrgetter(node.target)(twin)
        return here(found) if isinstance(found, torch.Tensor) else found
    if node.op == "call_module":
        module = at_inference(twin.get_submodule(node.target), is_placed=True)
        if "inplace" in module.__dict__:
            module.inplace = False
        return module(*args, **kwargs)
    if node.op == "call_method":
        is_view = node.target == "view" and not isinstance(args[1], torch.dtype)  # which other strides do not allow
        return getattr(args[0], "reshape" if is_view else node.target)(*args[1:], **kwargs)
    return node.target(*args, **kwargs)


def _run_all(twin: torch.nn.Module, given: list[fx.Node], nodes: list[fx.Node], *tensors):
    """What the last node gives for tensors in the place of given nodes."""
    values = dict(zip(given, tensors))
    for node in nodes:
        values[node] = run(node, values, twin)
    return values[nodes[-1]]


def _without_data(value):
    return value.to("meta") if isinstance(value, torch.Tensor) else value


def _replace_nothing_in_place(graph: fx.Graph, twin: torch.nn.Module) -> None:
    """Have what writes over its input return its outputs instead, and who reads that input afterwards read these."""
    order = {node: number for number, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if node.op == "call_module":
            is_inplace = getattr(twin.get_submodule(node.target), "inplace", False)
        elif node.op == "call_method":
            without = node.target.rstrip("_")
            is_inplace = not node.target.startswith("_") and without != node.target and hasattr(torch.Tensor, without)
            node.target = without if is_inplace else node.target
        else:
            is_inplace = node.kwargs.get("inplace", False)
            node.kwargs = {**node.kwargs, "inplace": False} if is_inplace else node.kwargs
        if is_inplace:
            node.args[0].replace_all_uses_with(node, lambda user, node=node: order[user] > order[node])
