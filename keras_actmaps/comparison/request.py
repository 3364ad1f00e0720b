"""Requests of a comparison: methods and metrics by name with settings, and their labels in the table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from keras_actmaps.comparison.stored import StoredRequest
from keras_actmaps.core.settings import show
from keras_actmaps.core.stored import StoredExplanations
from keras_actmaps.methods.request import MethodRequest
from keras_actmaps.metrics.selection import MetricRequest

Request = TypeVar("Request", MethodRequest, MetricRequest, MethodRequest | StoredRequest)


@dataclass(frozen=True, eq=False)
class Labeled(Generic[Request]):
    """A validated method or metric, and its label in the table."""

    label: str
    request: Request


def labeled_requests(
    what: str, items: Any, make_request: Callable[[Any, Mapping[str, Any]], Request]
) -> list[Labeled[Request]]:
    """Names, or (name, settings), validated; ValueError for anything else, and for repeated labels."""
    labeled = [_labeled(what, item, make_request) for item in _as_list(what, items)]
    _require_different(what, labeled)
    return labeled


def method_requests(
    items: Any, make_request: Callable[[Any, Mapping[str, Any]], MethodRequest]
) -> list[Labeled[MethodRequest | StoredRequest]]:
    """The same for methods, with stored maps, labeled by their method, or pairs (label, stored maps)."""
    labeled: list[Labeled[MethodRequest | StoredRequest]] = []
    for item in _as_list("methods", items):
        if isinstance(item, StoredExplanations):
            labeled.append(Labeled(item.explanation([0]).method, StoredRequest(item)))
        elif _is_labeled_maps(item):
            labeled.append(Labeled(item[0], StoredRequest(item[1])))
        else:
            one = _labeled("methods", item, make_request)
            labeled.append(Labeled(one.label, one.request))
    _require_different("methods", labeled)
    return labeled


def _as_list(what: str, items: Any) -> list[Any]:
    is_list = isinstance(items, Iterable) and not isinstance(items, (str, Mapping, StoredExplanations))
    if not is_list or not (found := list(items)):
        raise ValueError(f"{what} must be a list of names or (name, settings), got {show(items)}")
    return found


def _is_labeled_maps(item: Any) -> bool:
    is_pair = isinstance(item, (tuple, list)) and len(item) == 2
    return is_pair and isinstance(item[0], str) and isinstance(item[1], StoredExplanations)


def _labeled(what: str, item: Any, make_request: Callable[[Any, Mapping[str, Any]], Request]) -> Labeled[Request]:
    name, settings = _name_and_settings(what, item)
    return Labeled(label_of(name, settings), make_request(name, settings))


def _require_different(what: str, labeled: Sequence[Labeled]) -> None:
    labels = [one.label for one in labeled]
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"{what} must differ in name or settings, got {label!r} more than once")


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
