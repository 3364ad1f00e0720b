"""Metric: the record that describes a metric, and METRICS, the table of all of them.

A metric is a function and a record, in the module of its family:

    @validated
    def sparseness(explanation: Explanation) -> Array:
        ...

    RECORDS = (Metric(name="sparseness", function=sparseness, better="higher", ...),)
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

from keras_actmaps.core.settings import Count, Ge, Gt, Le, Lt, PerAxis, Setting, settings_of, validate_settings
from keras_actmaps.core.stored import StoredExplanations
from keras_actmaps.core.types import Array
from keras_actmaps.metrics._several import by_example, has_table
from keras_actmaps.metrics._stored import by_chunk

P = ParamSpec("P")
R = TypeVar("R")

METRICS: dict[str, "Metric"] = {}  # filled by `keras_actmaps.metrics`
TEXT_METRICS: dict[str, "Metric"] = {}  # of maps of token ids only; filled there too
TRUTH = ("masks", "boxes")  # ground truth of localization metrics
_OF_THE_CALL = ("targets", "batch_size")  # keyword-only parameters that belong to the call, not to the metric

BatchSize = Annotated[Count, "maximum number of images in memory at a time"]
Score = Annotated[
    Literal["logit", "softmax", "sigmoid"], "measured score of the target: logit, probability by softmax or by sigmoid"
]
Patch = Annotated[PerAxis, "side of the patches that are hidden as a whole, or one per axis"]
Samples = Annotated[Count, "random draws, the same for all images"]
Steps = Annotated[Count, "steps of the curve, equal in patches"]
Share = Annotated[float, Gt(0), Le(1), "share of the patches that is changed after the last step"]
Radius = Annotated[float, Gt(0), "largest change of a value, as a share of the image's value range"]
Absolute = Annotated[bool, "compare magnitudes"]
Part = Annotated[
    Literal["positive", "absolute", "squared"], "used part of the signed map: max(map, 0), |map| or the squared map"
]
MapFraction = Annotated[float, Ge(0), Lt(1), "share of the map's largest value"]
Threshold = Annotated[Literal["otsu"] | MapFraction, "fraction of the map's maximum, or Otsu's level"]
Largest = Annotated[bool, "use only the part with the most pixels"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Metric:
    """A metric of maps, with one value per image.

    Attributes
    ----------
    name : str
        Key in METRICS or TEXT_METRICS, and the name of the function in `keras_actmaps.metrics`.
    function : callable
        `(model, images, explanation, *, ...)`, `(explanation, masks, *, ...)`, `(explanation, boxes, *, ...)` or
        `(explanation, *, ...)`, depending on `requires`; returns float64 (N,).
    better : {"higher", "lower"}
        Which values are better.
    summary : str
        One sentence: the meaning of a value.
    paper, cost, limitations : str
        Source, computational cost and known failures.
    requires : frozenset of str
        Required arguments besides the explanation, of "model", "masks" and "boxes".
    fits : callable or None
        `(traced model, shape of an input, targets) -> bool`: whether the metric is defined there; None: everywhere.
    update, compute : callable or None
        For a metric whose values depend on all images of a set: `update(explanation, truth, **settings)` returns the
        state (N, ...) of a batch, and `compute(state, **settings) -> (N,)` computes the values from the concatenated
        states of the whole set. None if the value of an image depends on this image only.
    """

    name: str
    function: Callable[..., Array]
    better: Literal["higher", "lower"]
    summary: str
    paper: str
    cost: str
    limitations: str
    requires: frozenset[str] = frozenset()
    fits: Callable[[Any, tuple[int, ...], Any], bool] | None = None
    update: Callable[..., Array] | None = None
    compute: Callable[..., Array] | None = None

    @cached_property
    def settings(self) -> Mapping[str, Setting]:
        """The settings by name, without `targets` and `batch_size`."""
        return {name: one for name, one in settings_of(self.function).items() if name not in _OF_THE_CALL}


def find_metric(metric: str | Metric) -> Metric:
    """The metric of that name, or the record itself; ValueError, with the choices, for an unknown name."""
    if isinstance(metric, Metric):
        return metric
    known = METRICS | TEXT_METRICS
    if not isinstance(metric, str) or metric not in known:
        raise ValueError(f"metric must be one of {', '.join(known)}, got {metric!r}")
    return known[metric]


def validated(function: Callable[P, R]) -> Callable[P, R]:
    """The function with validation of its settings; others are passed on if it takes `**settings`."""
    known = settings_of(function)
    takes_more = any(one.kind is one.VAR_KEYWORD for one in inspect.signature(function).parameters.values())
    takes_images = list(inspect.signature(function).parameters)[:2] == ["model", "images"]
    positional = {name for name in inspect.signature(function).parameters if name not in known}

    @functools.wraps(function)
    def metric(*args: P.args, **kwargs: P.kwargs) -> R:
        others = {
            name: value for name, value in kwargs.items() if name in positional or (takes_more and name not in known)
        }
        own = {name: value for name, value in kwargs.items() if name not in others}
        settings: dict[str, Any] = others | validate_settings(function.__name__, known, own)
        named = dict(zip(inspect.signature(function).parameters, args)) | settings
        if any(isinstance(value, StoredExplanations) for value in named.values()):
            record = METRICS.get(function.__name__)
            update, compute = (None, None) if record is None else (record.update, record.compute)
            return by_chunk(metric, named, update, compute)  # type: ignore[arg-type, return-value]
        if takes_images and len(args) >= 3 and has_table(args[0]):
            model, inputs, explanation = args[:3]
            return by_example(function, model, inputs, explanation, settings)  # type: ignore[arg-type, return-value]
        return function(*args, **settings)

    return metric
