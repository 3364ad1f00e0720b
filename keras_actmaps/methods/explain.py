"""explain() and explain_dataset(): from a model, inputs and the name of a method to an Explanation."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from typing import Any

import keras
import numpy as np

from keras_actmaps import backend
from keras_actmaps.core._keras_compat import input_specs
from keras_actmaps.core.attribution import Attribution, Target, map_shape, rows_of
from keras_actmaps.core.batching import (
    even_batch_size,
    iterate_batches,
    padded_batches,
    refuse_inputs_as_labels,
    refuse_streams,
)
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.explanation import Explanation, concatenate
from keras_actmaps.core.labels import class_numbers
from keras_actmaps.core.layer_types import layer_type
from keras_actmaps.core.model_state import warn_of_changing_calls
from keras_actmaps.core.predict_function import is_predict_function
from keras_actmaps.core.resize import resize
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import show
from keras_actmaps.core.settle import settle
from keras_actmaps.core.several_inputs import Part, has_several_inputs
from keras_actmaps.core.tokens import Tokens, may_read_tokens, tokenized
from keras_actmaps.core.traced_model import TracedModel, outputs_only
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.core.warn import warn_user
from keras_actmaps.methods._tokens import groups_of, main_parts, of_tokens, spread_words
from keras_actmaps.methods.registry import Method, reduce_channels
from keras_actmaps.methods.request import MethodRequest, make_request


def explain(
    model: Any,
    inputs: Any,
    method: str | Method = "gradcam",
    targets: Any = None,
    layer: Any = None,
    batch_size: int = 32,
    precision: str | None = None,
    xla: bool | None = None,
    *,
    report: Callable[[int, int | None], None] | None = None,
    **settings: Any,
) -> Explanation:
    """Attribute the scores of targets to positions in the inputs.

    Parameters
    ----------
    model : keras.Model, torch.nn.Module, Probe, or a function
        Functional, Sequential, nested or subclassed; modules with Keras on PyTorch. The model is never changed. A plain
        function from inputs (N, ...) to scores (N, classes) or (N,) is explained by the methods that need no gradients;
        its scores are explained as it returns them.
    inputs : array of shape (N, ...), or list or dict of arrays
        Inputs of `model.predict`, such as images (N, H, W, C); (N, C, H, W) for a module; token ids (N, T), which are
        explained at the output of their embedding. A keras_hub model with a preprocessor also takes strings.
    method : str or Method
        One of `METHODS`.
    targets : None, int, array of int, "all" or callable
        None for the predicted class; a class for all inputs; classes (N,) or (N, K); one-hot rows (N, classes) for the
        classes that they mark, so that with two classes (0, 1) is class 1, not both; "all" classes; or a function of
        the outputs that returns scores (N,).
    layer, precision, xla
        As for `Probe`; None is the default there.
    batch_size : int
        Maximum number of inputs in memory at a time.
    report : callable, optional
        `report(done, total)` is called as inputs are processed.
    **settings
        Settings of the method, listed by `python explain.py --list`. For a model with several inputs also `perturb`,
        the name of the input that a method with perturbations varies while the others are held fixed; None is the
        one with spatial axes. For token ids also `groups`, the number of the word of each token (N, T), -1 for none,
        and for all methods with a baseline or a fill `baseline`: "pad", "mask", an id or "zero".

    Returns
    -------
    Explanation
        Maps are float32 (N, H, W), or (N, K, H, W) for K targets per input; of token ids (N, T), exactly 0 at padding
        that the model masks, or (N, words) with `groups`. For a model with several inputs they are a
        dict of such arrays: of every floating input, of the one that is perturbed, or of the one that leads to the
        layer.

    Raises
    ------
    ValueError
        Before any work, for an unknown method, layer, target or setting and for inputs that do not fit.
    TypeError
        For a model of another framework.
    """
    request = make_request(method, settings, batch_size)
    refuse_streams(inputs)
    inputs = tokenized(model, inputs)
    traced = as_traced(model, layer, precision, inputs, xla).for_target(targets)
    inputs = traced.validate_inputs(inputs)
    request.validate(traced, inputs)
    context = RunContext(batch_size, even_batch_size(batch_size, len(inputs)))
    if report is not None:
        context = replace(context, report=report)
    return explain_batch(traced, inputs, request, targets, context)


def explain_dataset(
    model: Any,
    dataset: Iterable,
    method: str | Method = "gradcam",
    targets: Any = None,
    layer: Any = None,
    batch_size: int = 32,
    precision: str | None = None,
    xla: bool | None = None,
    **settings: Any,
) -> Iterator[Explanation]:
    """Explain a stream of batches in constant memory.

    Parameters
    ----------
    dataset : iterable
        Batches or single elements of inputs or (inputs, labels, ...), see `core.batching.iterate_batches`.
    targets
        As for `explain` and the same for all inputs, or "labels" to explain the label of each input.
    model, method, layer, batch_size, precision, xla, **settings
        As for `explain`.

    Yields
    ------
    Explanation
        One per batch. A smaller last batch is padded, so that it is not compiled again.

    Raises
    ------
    ValueError
        As `explain` does, for a dataset without inputs, and for "labels" if it has none.
    """
    request = make_request(method, settings, batch_size)
    is_traced_by_shape = has_several_inputs(model) or may_read_tokens(model)
    needs_shapes = backend.is_torch_module(model) or is_traced_by_shape or is_predict_function(model)
    traced = None if needs_shapes else as_traced(model, layer, precision, xla=xla)
    context, shape = None, None
    for inputs, labels, _ in iterate_batches(dataset, input_rank(model), batch_size):
        traced = (traced or as_traced(model, layer, precision, inputs, xla)).for_target(targets)
        refuse_inputs_as_labels(inputs, labels, traced.classes)
        inputs = traced.validate_inputs(inputs)
        if shape != inputs.shape[1:]:
            request.validate(traced, inputs)
            shape = inputs.shape[1:]
        context = context or RunContext(batch_size, even_batch_size(batch_size, len(inputs)))
        yield explain_batch(traced, inputs, request, select_targets(targets, labels), context)
    if context is None:
        raise ValueError("the dataset has no inputs")


def select_targets(targets: Any, labels: Array | None) -> Any:
    """The targets of a batch of a stream: its labels for "labels"; ValueError if it has none, or none of classes."""
    if not (isinstance(targets, str) and targets == "labels"):
        return targets
    if labels is None:
        raise ValueError("targets='labels', but the dataset has inputs only")
    if (numbers := class_numbers(labels)) is None:
        raise ValueError(
            f"targets='labels' needs labels that are classes, (N,) or one-hot rows (N, classes), got {np.shape(labels)}"
        )
    return numbers


def input_rank(model: Any) -> int | None:
    """The number of axes of a batch of inputs, summed over several inputs; None if it is not known."""
    if backend.is_torch_module(model) or is_predict_function(model):
        return None
    if has_several_inputs(model) or may_read_tokens(model):
        shapes = [spec.shape for spec in input_specs(model)]
        return None if () in shapes else sum(map(len, shapes))
    traced = as_traced(model)
    return sum(1 + len(part.shape) for part in traced.input_parts) or len(traced.input_shape)


def explain_batch(
    traced: TracedModel, inputs: Array, request: MethodRequest, targets: Any, context: RunContext
) -> Explanation:
    """Explain validated inputs, in batches padded to `context.padded_size`."""
    if traced.is_table:
        return _explain_table(traced, inputs, request, targets, context)
    return _explain_batch(traced, inputs, request, targets, context)


def _explain_table(
    traced: TracedModel, table: Array, request: MethodRequest, targets: Any, context: RunContext
) -> Explanation:
    """Explain several inputs: all of them at once, or one of them, example by example, with the others held fixed."""
    request = request.for_tokens(traced)
    if not request.perturbs:
        e = _explain_batch(traced, table, request.of_table(traced), targets, context)
        e = replace(e, maps=_maps_by_input(traced, e.maps, request), settings=dict(request.settings))
        return of_tokens(traced, e, table, request.groups, request.settings) if traced.tokens else e
    tokens = request.hides_words(traced)
    if tokens is not None:
        return _explain_words(traced, table, tokens, request, targets, context)
    part = request.varied_part(traced)
    own = request.of_part(traced, part)

    def of(row: slice, own_targets: Any, single: RunContext) -> Explanation:
        view = traced.perturbing(part.name, table[row])
        return _explain_batch(view, part.of(table[row]), own, own_targets, single, is_validated=True)

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
        e = _explain_batch(view, view.everything, request.of_words(), own_targets, single, is_validated=True)
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


def _explain_batch(
    traced: TracedModel,
    inputs: Array,
    request: MethodRequest,
    targets: Any,
    context: RunContext,
    is_validated: bool = False,
) -> Explanation:
    method, name = request.method, _name_of(targets)
    if not (is_validated and isinstance(targets, np.ndarray)):  # (1, 2) classes 0 and 1 would pass for one-hot
        targets = traced.validate_targets(method.target_of(targets), len(inputs))
    targets = settle(traced, inputs, targets, context)
    if isinstance(targets, Target) or not callable(targets):  # a function means the outputs as they are
        _warn_of_probabilities(traced, inputs)
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
    _check_finite(method, maps, scores)
    _warn_of_zero_maps(method, maps)
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


def _check_finite(method: Method, maps: Array, scores: Array) -> None:
    """ValueError for scores or maps that are not finite."""
    for name, array in (("score", scores), ("map", maps)):
        finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
        if not finite.all():
            raise ValueError(f"{method.name}: the {name} of input {int(np.argmin(finite))} is NaN or Inf")


def _warn_of_zero_maps(method: Method, maps: Array) -> None:
    """Warn about maps that are zero everywhere."""
    empty = np.flatnonzero(~maps.reshape(len(maps), -1).any(axis=1))
    if empty.size:
        shown = ", ".join(map(str, empty[:5])) + (", ..." if empty.size > 5 else "")
        warn_user(
            f"{method.name}: {empty.size} of {len(maps)} maps are all zero (inputs {shown}); nothing supports the "
            "target there, or no gradient reaches the input or the layer",
        )


def _warn_of_probabilities(traced: TracedModel, inputs: Array) -> None:
    """Warn if the outputs are probabilities whose softmax or sigmoid cannot be separated from what is before it."""
    if traced.has_gradients and _returns_probabilities(traced, inputs):  # a function's scores are what it returns
        warn_user(
            f"{traced.name!r} returns probabilities, and its softmax cannot be removed because it is inside a layer "
            "or model that cannot be traced, or is no plain softmax or sigmoid of one tensor; the maps explain "
            "probabilities, not logits, and vanish where the model is certain",
        )


def _returns_probabilities(traced: TracedModel, inputs: Array) -> bool:
    """Whether the outputs are bounded by operations, or sum to 1 and come from a layer of unknown type."""
    if traced.has_bounded_outputs or not _ends_in_unknown_layer(traced):
        return traced.has_bounded_outputs
    outputs = [backend.to_numpy(output) for output in keras.tree.flatten(traced.outputs(inputs[:1]))]
    return all(output.ndim == 2 and output.min() >= 0 and abs(output.sum() - 1) < 1e-3 for output in outputs)


def _ends_in_unknown_layer(traced: TracedModel) -> bool:
    """Whether the outputs come from the model as a single node, or from a layer of unknown type."""
    nodes = map(traced.graph.producer, keras.tree.flatten(traced.graph.outputs))
    return traced.graph.is_opaque or any(node is not None and layer_type(node) is None for node in nodes)
