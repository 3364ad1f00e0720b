"""explain() and explain_dataset(): from a model, inputs and the name of a method to an Explanation."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from keras_actmaps import backend
from keras_actmaps.core._keras_compat import input_specs
from keras_actmaps.core.batching import (
    even_batch_size,
    iterate_batches,
    refuse_inputs_as_labels,
    refuse_streams,
)
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.labels import class_numbers
from keras_actmaps.core.predict_function import is_predict_function
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.several_inputs import has_several_inputs
from keras_actmaps.core.tokens import may_read_tokens, tokenized
from keras_actmaps.core.types import Array
from keras_actmaps.methods.explain_batch import explain_batch
from keras_actmaps.methods.registry import Method
from keras_actmaps.methods.request import make_request


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
