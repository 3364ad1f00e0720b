"""Attention relevance: attention weighted by its gradients, through all layers."""

from typing import Any

from keras import ops

from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._attention import Grid, Prefix, as_maps, attention_gradients, pooled_row, tokens_of
from keras_actmaps.methods.registry import Attribution, Method


def attention_relevance(
    traced: TracedModel, inputs: Tensor, targets: Any, *, grid: Grid = None, prefix: Prefix = None
) -> Attribution:
    """R = R + mean_h relu(dY/dA_h * A_h) R, layer by layer from R = I (Chefer et al. 2021, eq. 5 and 6).

    A map is the row of the class token, or the mean of the rows of the tokens that are pooled.
    """
    tokens = tokens_of(traced, "attention_relevance", grid, prefix)
    layers, gradients, outputs = attention_gradients(traced, inputs, targets, tokens.attentions)
    relevance = ops.eye(tokens.count)[None]
    for attention, gradient in zip(layers, gradients):
        weighted = ops.mean(ops.relu(gradient * attention), axis=1)
        relevance = relevance + ops.matmul(weighted, relevance)
    return Attribution(as_maps(pooled_row(relevance, tokens), tokens), outputs)


def _validate(traced: TracedModel, inputs: Array, *, grid: Any, prefix: int | None) -> None:
    tokens_of(traced, "attention_relevance", grid, prefix)


METHOD = Method(
    name="attention_relevance",
    function=attention_relevance,
    validate=_validate,
    needs=frozenset({"gradients", "graph", "attention"}),
    summary="The attention that supports the target, through all layers",
    paper="Chefer et al. 2021 (ICCV), eq. 5 and 6",
    cost="one forward and one backward pass.",
    limitations="for self-attention; pooling of all patches adds the identity, 1/T for each; not signed, no known sum.",
)
