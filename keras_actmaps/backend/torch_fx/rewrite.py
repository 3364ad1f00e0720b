"""The graph of torch.fx without operations in place, and with sizes as constants."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from keras import tree
from torch import fx
from torch.fx.node import map_arg

RESHAPES = ("reshape", "view", torch.reshape)


def fold_sizes(nodes: Sequence[fx.Node], values: Mapping[fx.Node, Any], others: Mapping[fx.Node, Any]) -> None:
    """Replace sizes by constants, and the number of images in a reshape by -1.

    Without this, an operation depends on each tensor whose size it uses, as `x.reshape(y.shape[0], -1)` does on y.

    Parameters
    ----------
    nodes : sequence of fx.Node
        In the order in which they run.
    values, others : mapping of fx.Node to object
        What each of them returned, for two numbers of images, by which sizes that depend on that number are told.
    """
    sizes: set[fx.Node] = set()
    for node in nodes:
        inputs = node.all_input_nodes
        has_tensors = any(isinstance(part, torch.Tensor) for part in tree.flatten(values[node]))
        if not has_tensors and (_is_size(node) or (inputs and sizes.issuperset(inputs))):
            sizes.add(node)
    constants = {node: values[node] for node in sizes if values[node] == others[node]}
    for node in {user for size in constants for user in size.users}:
        node.args, node.kwargs = map_arg((node.args, node.kwargs), lambda part: constants.get(part, part))
    for node in set(nodes) - sizes:
        if node.target in RESHAPES and sizes.intersection(node.all_input_nodes):
            pairs = zip(values[node].shape, others[node].shape)
            shape = tuple(one if one == other else -1 for one, other in pairs)
            if shape.count(-1) == 1:
                node.args, node.kwargs = (node.args[0], shape), {}


def _is_size(node: fx.Node) -> bool:
    """Whether a node reads the shape of a tensor, which does not depend on its values."""
    return node.target in ("size", "dim") or (node.target is getattr and node.args[1] in ("shape", "ndim"))


def replace_in_place_operations(graph: fx.Graph, module: torch.nn.Module) -> None:
    """Let operations that overwrite their input return a new tensor, which all later readers of that input read."""
    order = {node: number for number, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if _made_out_of_place(node, module):
            overwritten: Any = node.args[0]
            overwritten.replace_all_uses_with(node, lambda user, node=node: order[user] > order[node])


def _made_out_of_place(node: fx.Node, module: torch.nn.Module) -> bool:
    """Replace an in-place method or function by one that returns a new tensor; whether the node was in place."""
    if node.op == "call_module":  # `run_node` resets the module's `inplace`
        return getattr(module.get_submodule(str(node.target)), "inplace", False)
    if node.op == "call_method":
        method = str(node.target)
        name = method.rstrip("_")
        is_in_place = not method.startswith("_") and name != method and hasattr(torch.Tensor, name)
        node.target = name if is_in_place else method
        return is_in_place
    is_in_place = bool(node.kwargs.get("inplace", False))
    node.kwargs = {**node.kwargs, "inplace": False} if is_in_place else node.kwargs
    return is_in_place
