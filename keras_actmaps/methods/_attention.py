"""The attention of a model in one pass, its gradients, and maps of the tokens as maps of the patches."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.attention import Attention, find_attention, pooled_tokens
from keras_actmaps.core.batch_factors import batch_factors
from keras_actmaps.core.graph import run_nodes
from keras_actmaps.core.settings import Count, Ge
from keras_actmaps.core.token_grid import TokenGrid
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Tensor

Grid = Annotated[
    tuple[Count, ...] | list[Count] | None, "rows and columns of patches; None is that of the patch convolution"
]
Prefix = Annotated[
    Annotated[int, Ge(0)] | None, "tokens before the patches, such as that of the class; None is all others"
]


def tokens_of(traced: TracedModel, method: str, grid: Any = None, prefix: int | None = None) -> TokenGrid:
    """The tokens of a model, with the grid and the prefix that the user set; ValueError where they do not fit."""
    if traced.parts:
        raise ValueError(
            f"only models with one input can be explained by {method}, and {traced.name!r} has several, or token ids"
        )
    attentions = find_attention(traced.require_graph())
    if not attentions:
        raise ValueError(
            f"{method} needs attention, and {traced.name!r} has no softmax of scores between tokens that can be "
            "traced; occlusion works there"
        )
    factors = batch_factors(traced.graph)
    windows = next((one for one in attentions if factors.get(one.tokens, 1) != 1), None)
    if windows is not None:
        raise ValueError(
            f"{method} needs attention between all tokens of an image, but that of {windows.path!r} is within windows; "
            "gradcam and occlusion work there"
        )
    shape = traced.graph.shapes[attentions[-1].tokens]
    count = (shape[1] if len(shape) == 3 else None) or 0
    for one in attentions:
        pair = traced.graph.shapes[one.probabilities][-2:]
        if not count or pair != (count, count):
            raise ValueError(
                f"{method} needs attention between the same tokens in all layers, but that of {one.path!r} is between "
                f"{pair[0]} and {pair[1]} tokens of {count or 'an unknown number'}, as of windows or of two sequences; "
                "occlusion works there"
            )
    found = _grid(traced, method, count, grid, prefix)
    return TokenGrid(tuple(attentions), count, found, pooled_tokens(traced.graph, attentions[-1]))


def _grid(traced: TracedModel, method: str, count: int, grid: Any, prefix: int | None) -> tuple[int, ...]:
    """The grid of patches, or (T,) for a sequence."""
    setting = traced.grid_setting
    grid, prefix = (setting.shape if grid is None else grid), (setting.prefix if prefix is None else prefix)
    known = traced.grid.shape if traced.grid is not None else None
    if known is None and len(traced.space) == 1:
        known = (count - (prefix or 0),)
    found = tuple(grid) if grid is not None else known
    if found is None:
        raise ValueError(
            f"{method}: the grid of the {count} tokens of {traced.name!r} is not known, because no convolution with "
            "known sizes makes them; pass grid=(rows, columns)"
        )
    size = 1
    for side in found:
        size *= side
    if len(found) != len(traced.space) or size > count or (prefix is not None and prefix + size != count):
        tokens = f"and {prefix} tokens before it do" if prefix is not None else "does"
        raise ValueError(
            f"a grid of {' x '.join(map(str, found))} patches {tokens} not fit the {count} tokens of {traced.name!r}"
        )
    return found


def heads(traced: TracedModel, inputs: Tensor, attentions: Sequence[Attention]) -> tuple[list[Tensor], Any]:
    """The attention probabilities (N, heads, T, T) of each layer, and the outputs."""
    values = run_nodes(traced.folded.nodes, traced.start(inputs))
    outputs = traced.run_to_outputs((), values)
    return [with_heads(values[one.probabilities]) for one in attentions], outputs


def attention_gradients(
    traced: TracedModel, inputs: Tensor, targets: Any, attentions: Sequence[Attention]
) -> tuple[list[Tensor], list[Tensor], Any]:
    """The attention probabilities of each layer, the gradients of the score with respect to them, and the outputs."""
    slots = [one.probabilities for one in attentions]
    zeros = [ops.zeros((inputs.shape[0], *traced.graph.shapes[slot][1:])) for slot in slots]

    def function(*shifts: Tensor) -> tuple[Tensor, Any]:
        values = run_nodes(traced.folded.nodes, traced.start(inputs), dict(zip(slots, shifts)))
        outputs = traced.run_to_outputs((), values)
        return traced.score(outputs, targets), ([values[slot] for slot in slots], outputs)

    gradients, (probabilities, outputs) = backend.gradients(function, zeros)
    return list(map(with_heads, probabilities)), list(map(with_heads, gradients)), outputs


def with_heads(probabilities: Tensor) -> Tensor:
    """Probabilities (N, heads, T, T), also of an attention with one head (N, T, T) or with two axes of heads."""
    shape = probabilities.shape
    return ops.reshape(probabilities, (shape[0], math.prod(shape[1:-2]), *shape[-2:]))


def pooled_row(relevance: Tensor, tokens: TokenGrid) -> Tensor:
    """The relevance (N, T) of all tokens for those that the outputs are computed from, of relevance (N, T, T)."""
    return ops.mean(ops.take(relevance, list(tokens.pooled), axis=1), axis=1)


def as_maps(values: Tensor, tokens: TokenGrid) -> Tensor:
    """Values (N, T) of tokens as maps (N, h, w) of the patches."""
    return ops.reshape(values[:, tokens.prefix :], (-1, *tokens.shape))
