"""Attention rollout: the attention of all layers, multiplied."""

from typing import Any

from keras import ops

from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._attention import Grid, Prefix, as_maps, heads, pooled_row, tokens_of
from keras_actmaps.methods.registry import Attribution, Method


def attention_rollout(
    traced: TracedModel, inputs: Tensor, targets: Any, *, grid: Grid = None, prefix: Prefix = None
) -> Attribution:
    """R = A^L ... A^1 with A^l = (mean_h A_h^l + I) / 2, whose rows sum to 1 (Abnar and Zuidema 2020, section 3).

    A map is the row of the class token, or the mean of the rows of the tokens that are pooled.
    """
    tokens = tokens_of(traced, "attention_rollout", grid, prefix)
    layers, outputs = heads(traced, inputs, tokens.attentions)
    rollout = identity = ops.eye(tokens.count)[None]
    for attention in layers:
        mixed = (ops.mean(attention, axis=1) + identity) / 2
        rollout = ops.matmul(mixed / ops.sum(mixed, axis=-1, keepdims=True), rollout)
    return Attribution(as_maps(pooled_row(rollout, tokens), tokens), outputs)


def _validate(traced: TracedModel, inputs: Array, *, grid: Any, prefix: int | None) -> None:
    tokens_of(traced, "attention_rollout", grid, prefix)


METHOD = Method(
    name="attention_rollout",
    function=attention_rollout,
    validate=_validate,
    needs=frozenset({"graph", "attention"}),
    summary="Which patches the pooled tokens attend to through all layers",
    paper="Abnar and Zuidema 2020, section 3",
    cost="one forward pass.",
    limitations="the same for every target; assumes that residual and attention weigh the same, and no values.",
)
