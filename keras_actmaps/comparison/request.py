"""Requests of a comparison: methods and metrics by name with settings, and their labels in the table."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from keras_actmaps.core.settings import show
from keras_actmaps.methods.explain import MethodRequest
from keras_actmaps.metrics.selection import MetricRequest

Request = TypeVar("Request", MethodRequest, MetricRequest)


@dataclass(frozen=True, eq=False)
class Labeled(Generic[Request]):
    """A validated method or metric, and its label in the table."""

    label: str
    request: Request


def labeled_requests(
    what: str, items: Any, make_request: Callable[[Any, Mapping[str, Any]], Request]
) -> list[Labeled[Request]]:
    """Names, or (name, settings), validated; ValueError for anything else, and for repeated labels."""
    is_list = isinstance(items, Iterable) and not isinstance(items, (str, Mapping))
    pairs = [_name_and_settings(what, item) for item in (items if is_list else ())]
    if not pairs:
        raise ValueError(f"{what} must be a list of names or (name, settings), got {show(items)}")
    labeled = [Labeled(label_of(name, settings), make_request(name, settings)) for name, settings in pairs]
    labels = [one.label for one in labeled]
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"{what} must differ in name or settings, got {label!r} more than once")
    return labeled


def label_of(name: Any, settings: Mapping[str, Any]) -> str:
    """The label of a method or metric: `insertion steps=5`."""
    shown = (f"{key}={value if isinstance(value, str) else show(value)}" for key, value in settings.items())
    return " ".join([name if isinstance(name, str) else show(name), *shown])


def _name_and_settings(what: str, item: Any) -> tuple[Any, Mapping[str, Any]]:
    if not isinstance(item, (tuple, list)):
        return item, {}
    if len(item) != 2 or not isinstance(item[1], Mapping):
        raise ValueError(f"{what} must be a list of names or (name, settings), got {show(item)}")
    return item[0], dict(item[1])
