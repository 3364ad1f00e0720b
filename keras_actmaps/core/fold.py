"""Batch normalization folded into the layer with a kernel before or after it, for passes at inference."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from keras import layers, tree

from keras_actmaps.core.graph import Graph, Node
from keras_actmaps.core.linear import Linear, linear_nodes, merge_pairs, normalizes
from keras_actmaps.core.plain_layers import KERNEL_LAYERS, OWN_MODULES
from keras_actmaps.core.rewrite import split_activations
from keras_actmaps.core.types import Slot

BATCH = 8  # inputs per run from which folding must pay
DTYPES = ("float32", "bfloat16")  # of layers with a kernel; normalizations are in float32


def fold_normalization(graph: Graph, keep: Iterable[Slot] = ()) -> Graph:
    """The same function with W' = W g / sqrt(v + e) and b' = beta + (b - m) g / sqrt(v + e) for a batch normalization.

    The weights are computed from the live variables in each run; where that costs more than the normalization of a few
    inputs, as of the last features of a network, it is left. Folded are layers of Keras itself, unless they are
    quantized and therefore round their inputs.

    Parameters
    ----------
    graph : Graph
    keep : iterable of int
        Slots that must hold the same tensors as before, such as those of explained layers; the outputs always do.

    Returns
    -------
    Graph
        Without the slots between folded layers in its `slot_of`.
    """
    norms = [node for node in graph.nodes if _is_norm(node)]
    if not norms:
        return graph
    split = split_activations(graph)
    beside = {slot for node in norms for slot in (*node.reads.values(), *node.writes)}
    shapes, nodes = dict(split.shapes), []
    for node in split.nodes:
        is_beside = not beside.isdisjoint((*node.reads.values(), *node.writes))
        nodes += linear_nodes(node, shapes) if is_beside and _has_plain_kernel(node) else [node]
    merged = merge_pairs(nodes, {*tree.flatten(graph.outputs), *keep}, shapes, _fold)
    known = {*graph.inputs, *(slot for node in merged for slot in node.writes)}
    slot_of = {path: slot for path, slot in graph.slot_of.items() if slot in known}
    return replace(graph, nodes=tuple(merged), slot_of=slot_of, shapes=shapes)


def _is_norm(node: Node) -> bool:
    """Whether this is a batch normalization of Keras itself at inference."""
    is_training = node.arguments.kwargs.get("training") is True
    return _is_own(node.operation, (layers.BatchNormalization,), DTYPES[:1]) and not is_training


def _has_plain_kernel(node: Node) -> bool:
    """Whether this is a layer of Keras itself with a kernel that is not quantized."""
    is_quantized = getattr(node.operation, "quantization_mode", None) is not None
    return _is_own(node.operation, KERNEL_LAYERS, DTYPES) and not is_quantized


def _is_own(operation: Any, classes: tuple, dtypes: tuple) -> bool:
    """Whether this is a layer of these classes, not of a subclass by a user, that computes in one of `dtypes`."""
    is_known = isinstance(operation, classes) and type(operation).__module__.startswith(OWN_MODULES)
    return is_known and operation.compute_dtype in dtypes


def _fold(first: Node, second: Node) -> Linear | None:
    """Two consecutive nodes as one; None if they are not a layer with a kernel and a normalization of its channels.

    A normalization of inputs that are padded afterwards is left, because its shift would vary in space.
    """
    if _fits(first, second):
        return first.operation.then(second.operation)
    linear: Any = second.operation
    if not _fits(second, first) or linear.is_padded or getattr(linear.layer, "groups", 1) > 1:
        return None
    return linear.after(first.operation)


def _fits(node: Node, norm: Node) -> bool:
    """Whether a normalization is of the channels of a layer with a kernel, and normalizes more than the kernel has."""
    linear: Any = node.operation
    if not (isinstance(linear, Linear) and linear.can_fold and _is_norm(norm)):
        return False
    kernel = getattr(linear.layer, "kernel", None)
    if kernel is None:
        kernel = linear.layer.pointwise_kernel
    shape = [side or np.inf for side in norm.arguments.keras_tensors[0].shape[1:]]  # unknown sizes are large
    return normalizes(norm.operation, linear.channel_axis) and np.prod(kernel.shape) <= BATCH * np.prod(shape)
