"""From validated inputs of a model with a single input to maps, in batches."""

from dataclasses import replace
from functools import cache
from importlib.metadata import version
from typing import Any

import keras
import numpy as np

from keras_actmaps import backend
from keras_actmaps.core.attribution import Attribution, Target, map_shape, rows_of
from keras_actmaps.core.batching import padded_batches
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.model_state import warn_of_changing_calls
from keras_actmaps.core.resize import resize
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import show
from keras_actmaps.core.settle import settle
from keras_actmaps.core.traced_model import TracedModel, outputs_only
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods.checks import check_finite, warn_of_probabilities, warn_of_zero_maps
from keras_actmaps.methods.registry import Method, reduce_channels
from keras_actmaps.methods.request import MethodRequest


def explain_single_input(
    traced: TracedModel,
    inputs: Array,
    request: MethodRequest,
    targets: Any,
    context: RunContext,
    is_validated: bool = False,
) -> Explanation:
    """Explain validated inputs of a model with a single input; is_validated: whether the targets are, too."""
    method, name = request.method, _name_of(targets)
    if not (is_validated and isinstance(targets, np.ndarray)):  # (1, 2) classes 0 and 1 would pass for one-hot
        targets = traced.validate_targets(method.target_of(targets), len(inputs))
    targets = settle(traced, inputs, targets, context)
    if isinstance(targets, Target) or not callable(targets):  # a function means the outputs as they are
        warn_of_probabilities(traced, inputs)
    warn_of_changing_calls(traced.graph)
    per_target = not callable(targets) and targets.ndim == 2 and not method.multi_target
    columns = list(targets.T) if per_target else [targets]
    batches, report = len(columns) * -(-len(inputs) // context.padded_size), context.report
    context = replace(context, report=lambda done, total: report(done, None if total is None else batches * total))
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
        results = [_in_batches(traced, inputs, request, column, context) for column in columns]
    arrays = results[0]
    if per_target:
        arrays = {name: np.stack([part[name] for part in results], 1) for name in arrays}
    maps, resolved, scores = (arrays.pop(name) for name in ("maps", "targets", "scores"))
    check_finite(method, maps, scores)
    warn_of_zero_maps(method, maps)
    return Explanation(
        maps=maps,
        targets=None if callable(targets) else resolved.astype("int64"),
        scores=scores,
        method=method.name,
        layer=traced.layer if method.level == "layer" else None,
        layer_reason=traced.layer_reason if method.level == "layer" else None,
        **arrays,
        settings=dict(request.settings),
        versions={package: _version(package) for package in ("keras", keras.backend.backend(), "numpy")},
        target_name=name,
    )


@cache
def _version(package: str) -> str:
    """The version of a package; searching for it takes milliseconds."""
    return version(package)


def _name_of(targets: Any) -> str | None:
    """A target or function in one short line; None for classes."""
    if isinstance(targets, Target):
        return repr(targets)
    return show(targets) if callable(targets) else None


def _in_batches(
    traced: TracedModel, inputs: Array, request: MethodRequest, targets: Any, context: RunContext
) -> dict[str, Array]:
    """Maps at input size, resolved targets, scores, residuals and other facts of all inputs, as in `Explanation`."""
    parts = []
    for batch, real in padded_batches([inputs, np.arange(len(inputs))], context.padded_size):
        batch_targets = rows_of(targets, batch[1])
        numbered = replace(context, numbers=batch[1])
        maps, sums, resolved, scores, found = attribute_batch(traced, batch[0], request, batch_targets, numbered)
        if request.method.total is not None:
            known = batch_targets if callable(targets) else resolved
            expected = request.method.total(traced, batch[0], known, scores, request.settings, context)
            if expected is not None:
                found["residual"] = sums.reshape(len(sums), -1).sum(1, dtype="float64").astype("float32") - expected
        is_layer = request.method.level == "layer"
        if request.settings.get("channels") != "keep" and (context.resizes or not is_layer):
            maps = resize(maps, traced.map_space(inputs) if is_layer else map_shape(inputs))
        found |= {"maps": maps, "targets": resolved, "scores": scores}
        parts.append({name: array[:real] for name, array in found.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def attribute_batch(
    traced: TracedModel, inputs: Array, request: MethodRequest, targets: Any, context: RunContext
) -> tuple[Array, Array, Array, Array, dict[str, Array]]:
    """Maps, values to sum for the residual, resolved targets, scores and reported facts of one batch."""
    method, channels = request.method, request.settings.get("channels")
    if method.single_pass:
        settings = request.own_settings | {"method": method, "channels": channels}
        found = traced.run(_reduced, inputs, targets, context=context, **settings)
        (maps, sums), resolved, scores = keras.tree.map_structure(backend.to_numpy, found)
        return maps, sums, resolved, scores, {}
    _, resolved, scores = map(backend.to_numpy, traced.run(outputs_only, inputs, targets, context=context))
    known = targets if callable(targets) else resolved
    facts: dict[str, Array] = {}
    context = replace(context, report_facts=facts.update)
    values, _ = method.function(traced, inputs, known, context, **request.own_settings)
    maps, sums = (np.asarray(backend.to_numpy(part)) for part in _maps_and_sums(traced, method, values, channels))
    return maps.astype("float32", copy=False), sums, resolved, scores, facts


def _reduced(
    traced: TracedModel, inputs: Tensor, targets: Any, *, method: Method, channels: Any, **settings: Any
) -> Attribution:
    """A single-pass method with its channels reduced, for `TracedModel.run`."""
    values, outputs = method.function(traced, inputs, targets, **settings)
    return Attribution(_maps_and_sums(traced, method, values, channels), outputs)


def _maps_and_sums(traced: TracedModel, method: Method, values: Tensor, channels: Any) -> tuple[Tensor, Tensor]:
    """The maps, and the values whose sum is compared with the method's total."""
    if method.reduction is None or traced.is_table:  # channels of several inputs are reduced by input, at the end
        return values, values
    maps = reduce_channels(values, channels)
    is_signed = channels in ("sum", "keep") or method.total is None
    return maps, maps if is_signed else reduce_channels(values, "sum")
