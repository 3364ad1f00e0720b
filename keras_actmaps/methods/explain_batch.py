"""Explanations of validated inputs: of a single one, or of the inputs or words of a model with several."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from keras_actmaps import backend
from keras_actmaps.core.attribution import rows_of
from keras_actmaps.core.explanation import Explanation, concatenate
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.several_inputs import Part
from keras_actmaps.core.tokens import Tokens
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods._tokens import groups_of, main_parts, of_tokens, spread_words
from keras_actmaps.methods.attribute import explain_single_input
from keras_actmaps.methods.registry import reduce_channels
from keras_actmaps.methods.request import MethodRequest


def explain_batch(
    traced: TracedModel, inputs: Array, request: MethodRequest, targets: Any, context: RunContext
) -> Explanation:
    """Explain validated inputs, in batches padded to `context.padded_size`."""
    if traced.is_table:
        return _explain_table(traced, inputs, request, targets, context)
    return explain_single_input(traced, inputs, request, targets, context)


def _explain_table(
    traced: TracedModel, table: Array, request: MethodRequest, targets: Any, context: RunContext
) -> Explanation:
    """Explain several inputs: all of them at once, or one of them, example by example, with the others held fixed."""
    request = request.for_tokens(traced)
    if not request.perturbs:
        e = explain_single_input(traced, table, request.of_table(traced), targets, context)
        e = replace(e, maps=_maps_by_input(traced, e.maps, request), settings=dict(request.settings))
        return of_tokens(traced, e, table, request.groups, request.settings) if traced.tokens else e
    tokens = request.hides_words(traced)
    if tokens is not None:
        return _explain_words(traced, table, tokens, request, targets, context)
    part = request.varied_part(traced)
    own = request.of_part(traced, part)

    def of(row: slice, own_targets: Any, single: RunContext) -> Explanation:
        view = traced.perturbing(part.name, table[row])
        return explain_single_input(view, part.of(table[row]), own, own_targets, single, is_validated=True)

    e = _by_row(traced, len(table), targets, context, of)
    settings = dict(request.settings)
    if traced.tokens:
        e = replace(e, maps={part.name: e.maps}, settings=settings)
        return of_tokens(traced, e, table, request.groups, settings)
    return replace(e, maps={part.name: e.maps}, settings=settings | {"perturb": part.name})


def _by_row(traced: TracedModel, count: int, targets: Any, context: RunContext, function: Callable) -> Explanation:
    """The explanations by `function(row, targets, context)` of one example at a time."""
    validated, single = traced.validate_targets(targets, count), replace(context, padded_size=1)
    rows = [slice(row, row + 1) for row in range(count)]
    return concatenate([function(row, None if targets is None else rows_of(validated, row), single) for row in rows])


def _explain_words(
    traced: TracedModel, table: Array, tokens: Tokens, request: MethodRequest, targets: Any, context: RunContext
) -> Explanation:
    """Explain token ids by a method that hides words, text by text."""
    groups = groups_of(traced, table, tokens, request.groups)
    size = 1 + groups.max()

    def of(row: slice, own_targets: Any, single: RunContext) -> Explanation:
        view = request.at_words(traced, tokens, table[row], groups[row])
        e = explain_single_input(view, view.everything, request.of_words(), own_targets, single, is_validated=True)
        return replace(e, maps=spread_words(e.maps, groups[row.start], size, request.groups is not None))

    e = replace(_by_row(traced, len(table), targets, context, of), settings=dict(request.settings))
    floating = [part for part in main_parts(traced) if part.is_floating]
    return e if len(floating) == 1 else replace(e, maps={tokens.name: e.maps})


def _maps_by_input(traced: TracedModel, maps: Array, request: MethodRequest) -> dict[str, Array]:
    """Values (N, F) or (N, K, F) of all inputs, or maps at a layer, by the names of the inputs."""
    if traced.layer_part is not None and request.method.level == "layer":
        return {traced.layer_part.name: maps}
    rows, channels = maps.reshape(-1, maps.shape[-1]), request.settings.get("channels")

    def of(part: Part) -> Array:
        values = part.of(rows)
        reduced = values if channels is None else backend.to_numpy(reduce_channels(values, channels))
        return reduced.reshape(*maps.shape[:-1], *reduced.shape[1:])

    return {part.name: of(part) for part in traced.parts if part.is_floating}
