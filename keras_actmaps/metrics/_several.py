"""Metrics of maps of one of several inputs: example by example, with the other inputs held fixed."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_actmaps.core.attribution import rows_of
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.several_inputs import has_several_inputs, part_named
from keras_actmaps.core.tokens import may_read_tokens
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array


def has_table(model: Any) -> bool:
    """Whether this is a model, or a traced one, with several inputs."""
    return model.is_table if isinstance(model, TracedModel) else has_several_inputs(model) or may_read_tokens(model)


def by_example(
    metric: Callable[..., Array], model: Any, inputs: Any, explanation: Explanation, settings: Mapping[str, Any]
) -> Array:
    """The values (N,) of a metric whose model has several inputs; `explanation` has the maps of one of them.

    Raises ValueError for maps of several inputs, and for an input that is not known.
    """
    traced = as_traced(model, inputs=inputs)
    table = traced.validate_inputs(inputs)
    name = explanation.settings.get("input")
    if isinstance(explanation.maps, dict) and len(explanation.maps) == 1:
        (name,) = explanation.maps
        explanation = explanation.input(name)
    if isinstance(explanation.maps, dict):
        raise ValueError(f"select the maps of one input, one of {', '.join(explanation.maps)}: explanation.input(name)")
    part = part_named(name, traced.parts)
    if len(explanation) != len(table):
        raise ValueError(f"{len(explanation)} maps do not fit {len(table)} examples")
    targets, values = settings.get("targets"), []
    if targets is not None:
        targets = traced.validate_targets(targets, len(table))
    for row in range(len(table)):
        one = slice(row, row + 1)
        view = traced.perturbing(part.name, table[one])
        own = {**settings, "targets": None if targets is None else rows_of(targets, one)}
        values.append(metric(view, part.of(table[one]), explanation[row], **own))
    return np.concatenate(values)
