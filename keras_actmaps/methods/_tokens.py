"""Explanations of token ids: baselines, words that are hidden, and maps (N, T) or (N, words)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.several_inputs import Part, part_named
from keras_actmaps.core.tokens import Tokens, baseline_id, embed, embedding_parts, padding
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array

DEFAULT = "pad"  # baseline


def tokens_named(traced: TracedModel, name: str | None) -> Tokens | None:
    """The token input that `perturb` names, or the only input that it can be; None if that is no token input."""
    part = part_named(name, main_parts(traced))
    return next((one for one in traced.tokens if one.name == part.name), None)


def main_parts(traced: TracedModel) -> list[Part]:
    """The columns of each input, with those of the first embedding of tokens."""
    further = {part.name for one in traced.tokens for part in embedding_parts(traced.parts, one)[1:]}
    return [part for part in traced.parts if part.name not in further]


def baselines_by_part(traced: TracedModel, baseline: Any) -> dict[str, Any]:
    """The baseline of each part: of tokens, the embeddings of the baseline id.

    baseline: for all inputs, or a dict by input; inputs of tokens without one have "pad".
    """
    names = {part.name for part in main_parts(traced)}
    found: dict[str, Any] = dict(baseline) if isinstance(baseline, Mapping) else dict.fromkeys(names, baseline)
    for one in traced.tokens:
        value = found.get(one.name, DEFAULT)
        number, parts = baseline_id(value, one, traced.special_ids), embedding_parts(traced.parts, one)
        if number is None:
            found |= {part.name: value for part in parts}
            continue
        ids = np.full((1, parts[0].shape[0]), number, "int32")
        embedded = embed(traced.embedding_graph, one, ids)
        found |= {part.name: values[0] for part, values in zip(parts, embedded)}
    return found


def groups_of(traced: TracedModel, table: Array, tokens: Tokens, groups: Any) -> Array:
    """The word of each token (N, T), -1 for none: those in `groups`, or one for each token that is not padding.

    Raises ValueError for groups that do not fit.
    """
    given = {part.name: part.of(table) for part in traced.input_parts}
    is_padded = padding(given, tokens)
    if groups is None:
        return np.where(is_padded, -1, np.cumsum(~is_padded, axis=1) - 1)
    shape = is_padded.shape
    try:
        array = np.asarray(groups)
        array = np.broadcast_to(array, shape) if array.ndim == 1 else array
    except ValueError:
        array = np.zeros(0)
    if array.shape != shape or array.dtype.kind not in "iu":
        raise ValueError(
            f"groups of shape {array.shape} and type {array.dtype} do not fit; pass the number of the word of each "
            f"token, integers of shape {shape}, -1 for none"
        )
    if array.max() >= shape[1] or array.max() < 0:
        raise ValueError(f"groups must be numbers of words from 0 to {shape[1] - 1}, got up to {array.max()}")
    return np.where(is_padded, -1, array)


def of_tokens(
    traced: TracedModel, e: Explanation, table: Array, groups: Any, settings: Mapping[str, Any]
) -> Explanation:
    """The explanation with one map of each token input, 0 at padding, summed to words, from maps by part."""
    maps, removed, axis = dict(e.maps), 0.0, np.ndim(e.scores)
    for one in traced.tokens:
        names = [part.name for part in embedding_parts(traced.parts, one) if part.name in maps]
        if not names:
            continue
        values = sum(maps.pop(name) for name in names)
        words = groups_of(traced, table, one, None)
        kept = _aligned(words >= 0, values, axis)
        removed = removed + np.where(kept, 0, values).sum(axis=tuple(range(axis, values.ndim)))
        values = np.where(kept, values, np.float32(0))
        maps[one.name] = values if groups is None else _summed(values, groups_of(traced, table, one, groups), axis)
    residual = e.residual
    if residual is not None and settings.get("channels") in ("sum", "keep"):
        residual = np.asarray(residual - removed, "float32")
    is_single = sum(part.is_floating for part in main_parts(traced)) == 1
    return replace(e, maps=next(iter(maps.values())) if is_single else maps, residual=residual)


def spread_words(values: Array, groups: Array, size: int, is_grouped: bool) -> Array:
    """Maps (1, [K,] words) of one text at its words (1, [K,] size), or at the tokens (1, [K,] T) of each word."""
    if is_grouped:
        return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, size - values.shape[-1])])
    return np.where(groups >= 0, values[..., groups], np.float32(0))


def _aligned(positions: Array, values: Array, axis: int) -> Array:
    """(N, T) as an array that broadcasts to values (N, [K,] T, ...)."""
    shape = [1] * values.ndim
    shape[0], shape[axis] = positions.shape
    return positions.reshape(shape)


def _summed(values: Array, groups: Array, axis: int) -> Array:
    """Values (N, [K,] T, ...) summed over the tokens of each word."""
    shape = list(values.shape)
    shape[axis] = 1 + groups.max()
    total = np.zeros(shape, "float32")
    for row in range(len(values)):
        moved, own = np.moveaxis(total[row], axis - 1, 0), np.moveaxis(values[row], axis - 1, 0)
        np.add.at(moved, groups[row][groups[row] >= 0], own[groups[row] >= 0])
    return total
