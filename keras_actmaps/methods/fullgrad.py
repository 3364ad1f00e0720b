"""FullGrad: the gradients of the input and of all biases, which together make up the score."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.graph import Node, check_inputs_reached, run_backward, run_nodes
from keras_actmaps.core.layer_types import layer_type
from keras_actmaps.core.layout import channels_first_slots
from keras_actmaps.core.linear import Linear, linearize
from keras_actmaps.core.resize import interpolation
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Slot, Tensor
from keras_actmaps.methods.lrp import score_gradients
from keras_actmaps.methods.registry import Attribution, Method
from keras_actmaps.methods.rules.node_rules import floating_function

Postprocess = Literal["signed", "abs", "rescale"]
HOMOGENEOUS = ("sum", "max", "rearrange", "masking")  # types of layers with f(x) = J x
ROUNDING = 1e-6  # relative; smaller differences are rounding errors of float32


def fullgrad(
    traced: TracedModel,
    inputs: Tensor,
    targets: Any,
    *,
    postprocess: Annotated[Postprocess, "of each layer's share: none, |v|, or |v| rescaled to 0..1"] = "signed",
) -> Attribution:
    """S = psi(x * dY/dx) + sum_layers sum_channels psi(b * dY/db), each resized (Srinivas and Fleuret 2019, eq. 4).

    b is the bias at each position: that of a layer with a kernel, with batch normalization folded in, the shift of an
    affine layer, and the implicit bias f(x) - f'(x) x of any other layer, such as silu. Without psi the terms sum
    to Y exactly, for any network.

    Parameters
    ----------
    postprocess : {"signed", "abs", "rescale"}
        psi. "signed" is the identity, and the map sums to the score. "rescale" is that of the paper: the magnitude,
        rescaled to 0..1 over each layer; its map is not negative and has no known sum, so there is no residual. "abs"
        is the magnitude alone.

    Notes
    -----
    Resizing conserves the sum of each term, except for "rescale", which interpolates. Terms of layers without
    positions, such as Dense, and of a model with several inputs are distributed evenly over the input; "rescale" leaves
    them out, as the paper does.
    """
    at_input, terms, outputs = _decompose(traced, inputs, targets)
    shares = sum((_placed(_psi(term, postprocess), inputs, postprocess) for term in terms), ops.zeros_like(inputs))
    if traced.is_table:
        shares = shares * _floating_columns(traced)
    return Attribution(_psi(at_input, postprocess) + shares, outputs)


def _decompose(traced: TracedModel, inputs: Tensor, targets: Any) -> tuple[Tensor, list[Tensor], Any]:
    """The terms that sum to the score, of the input and of all biases, and the outputs."""
    graph = linearize(traced.require_graph())
    values = run_nodes(graph.nodes, traced.start(inputs))
    outputs, start = score_gradients(traced, graph, values, targets)
    first, terms = channels_first_slots(graph), []

    def visit(node: Node, arrived: list) -> list:
        arrived = [ops.zeros_like(values[slot]) if part is None else part for slot, part in zip(node.writes, arrived)]
        slots = node.floating
        parts: list = []
        if slots:
            parts = backend.vjp(floating_function(node, values), [values[slot] for slot in slots])[1](arrived)
        for slot, term in _bias_terms(node, values, arrived, parts):
            terms.append(ops.moveaxis(term, 1, -1) if slot in first else term)
        of_slot = dict(zip(slots, parts))
        return [of_slot.get(slot) for slot in node.reads.values()]

    arrived = run_backward(graph.nodes, start, visit)
    return traced.at_inputs(arrived) * inputs, terms, outputs


def _bias_terms(node: Node, values: Mapping[Slot, Tensor], gradients: list, parts: list) -> list[tuple[Slot, Tensor]]:
    """b * dY/db of a node, elementwise at the slots that it writes.

    gradients, parts: dY/dy at its outputs, and the share of dY/dx that comes through it. By y = J x + b, the terms are
    y dY/dy - x dY/dx; where x and y differ in shape, each at its own positions.
    """
    kind, written = layer_type(node), node.writes[0]
    if isinstance(node.operation, Linear):
        x = values[next(iter(node.reads.values()))]
        return [(written, node.operation.weights(x)[1] * gradients[0])]
    if kind in HOMOGENEOUS:
        return []
    if kind == "affine" and len(node.floating) == 1:
        (at_zero,) = floating_function(node, values)(ops.zeros_like(values[node.floating[0]]))
        return [(written, at_zero * gradients[0])]
    terms = [(slot, values[slot] * gradient) for slot, gradient in zip(node.writes, gradients)]
    for slot, part in zip(node.floating, parts):
        term, at_output = values[slot] * part, terms[0][1]
        if term.shape == at_output.shape:
            terms[0] = written, _difference(at_output, term)
        else:
            terms.append((slot, -term))
    return terms


def _difference(one: Tensor, other: Tensor) -> Tensor:
    """one - other; 0 where they differ by rounding, which rescaling would make visible."""
    difference = one - other
    is_real = ops.abs(difference) > ROUNDING * (ops.abs(one) + ops.abs(other))
    return ops.where(is_real, difference, ops.zeros_like(one))


def _psi(term: Tensor, postprocess: Postprocess) -> Tensor:
    """The term, its magnitude, or its magnitude rescaled to 0..1."""
    if postprocess == "signed":
        return term
    term = ops.abs(term)
    if postprocess == "abs":
        return term
    axes = tuple(range(1, len(term.shape)))
    term = term - ops.min(term, axis=axes, keepdims=True)
    return ops.divide_no_nan(term, ops.max(term, axis=axes, keepdims=True))


def _placed(term: Tensor, inputs: Tensor, postprocess: Postprocess) -> Tensor:
    """A term summed over channels and resized to the inputs (N, ..., C), over whose channels it is distributed."""
    channels = inputs.shape[-1]
    if len(term.shape) == len(inputs.shape) > 2:
        maps = ops.sum(term, axis=-1)
        for axis, side in enumerate(inputs.shape[1:-1], start=1):
            matrix = _resizing(maps.shape[axis], side, postprocess != "rescale")
            maps = ops.moveaxis(ops.matmul(ops.moveaxis(maps, axis, -1), matrix.T), -1, axis)
        return maps[..., None] / channels
    if postprocess == "rescale":
        return ops.zeros_like(inputs)
    sums = ops.sum(ops.reshape(term, (term.shape[0], -1)), axis=1)
    return ops.reshape(sums / np.prod(inputs.shape[1:]), (-1, *(1,) * (len(inputs.shape) - 1)))


def _resizing(side: int, new: int, conserves: bool) -> Array:
    """The matrix (new, side) of linear interpolation, or of the same whose columns sum to 1."""
    if not conserves or new == side:
        return interpolation(side, new)
    matrix = interpolation(side, new) if new > side else interpolation(new, side).T
    return matrix / matrix.sum(axis=0)


def _floating_columns(traced: TracedModel) -> Array:
    """The columns (1, F) of a table that belong to inputs with a map, as weights with mean 1."""
    columns = np.zeros((1, traced.parts[-1].stop), "float32")
    for part in traced.parts:
        columns[:, part.start : part.stop] = part.is_floating
    return columns / max(columns.mean(), 1e-9)


def _total(
    traced: TracedModel, inputs: Array, targets: Any, scores: Array, settings: Mapping[str, Any], context: RunContext
) -> Array | None:
    """The score; None for magnitudes, whose sum is not known."""
    return scores if settings["postprocess"] == "signed" else None


def _validate(traced: TracedModel, inputs: Array, **_: Any) -> None:
    graph = linearize(traced.require_graph())
    if traced.tokens:
        raise ValueError(
            f"fullgrad distributes biases over positions, and {traced.name!r} reads token ids, which may be padding; "
            "integrated_gradients works there"
        )
    check_inputs_reached(graph, "fullgrad")


METHOD = Method(
    name="fullgrad",
    function=fullgrad,
    multi_input=True,
    reduction="sum",
    validate=_validate,
    total=_total,
    needs=frozenset({"gradients", "graph"}),
    summary="The contribution of each pixel, and of the biases of all layers at each position, to the score",
    paper="Srinivas and Fleuret 2019, eq. 4",
    cost="one forward and one backward pass.",
    limitations="biases of layers without positions say nothing about where; terms of opposite sign nearly cancel.",
)
