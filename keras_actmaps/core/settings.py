"""Settings: the keyword-only parameters of methods, metrics and figures, typed once in their annotations.

    samples: Annotated[int, Ge(1), "noisy copies of each image"] = 50

The annotation defines validation, command line parsing and documentation of the setting.
Supported types: bool, int, float, str, None, literals, unions, tuples, lists, dicts, callables, arrays and classes.
"""

import ast
import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

LARGEST = 10**6  # largest count, so that a typing error does not exhaust the memory
FLOAT32_MAX = float(np.finfo("float32").max)


@dataclass(frozen=True)
class Ge:
    """At least `value`."""

    value: float


@dataclass(frozen=True)
class Gt:
    """Greater than `value`."""

    value: float


@dataclass(frozen=True)
class Le:
    """At most `value`."""

    value: float


@dataclass(frozen=True)
class Lt:
    """Less than `value`."""

    value: float


_SIGNS: dict[type, tuple[str, Callable[[Any, float], bool]]] = {
    Ge: (">=", lambda value, bound: value >= bound),
    Gt: (">", lambda value, bound: value > bound),
    Le: ("<=", lambda value, bound: value <= bound),
    Lt: ("<", lambda value, bound: value < bound),
}

Count = Annotated[int, Ge(1), Le(LARGEST)]
Seed = Annotated[int, Ge(0), Lt(2**63), "seed of the random numbers"]
Fraction = Annotated[float, Gt(0), Lt(1)]
PerAxis = Count | tuple[Count, ...] | list[Count]


class _Mismatch(Exception):
    """A value that its annotation does not allow."""


@dataclass(frozen=True, eq=False)
class Setting:
    """One setting: name, annotation, default and one-line meaning."""

    name: str
    annotation: Any
    default: Any
    meaning: str

    def validate(self, value: Any) -> Any:
        """The value in canonical form (NumPy scalars as Python's); ValueError for one that is not allowed."""
        try:
            return _conform(value, self.annotation)
        except _Mismatch:
            raise ValueError(f"{self.name} must be {self.choices()}, got {show(value)}") from None

    def parse(self, text: str) -> Any:
        """The validated value of a text from a command line; ValueError for one that is not allowed."""
        candidates = [*_literal(text), text] if text == "None" else [text, *_literal(text)]
        for candidate in candidates:
            try:
                return _conform(candidate, self.annotation)
            except _Mismatch:
                continue
        raise ValueError(f"{self.name} must be {self.choices()}, got {show(candidates[-1])}")

    def choices(self) -> str:
        """A description of the allowed values."""
        return _describe(self.annotation)

    def show_default(self) -> str:
        """The default as text, such as `steps=32`."""
        return f"{self.name}={show(self.default)}"


def settings_of(function: Callable) -> Mapping[str, Setting]:
    """The keyword-only parameters of a function, by name."""
    return _settings_of(function)


@cache
def _settings_of(function: Callable) -> Mapping[str, Setting]:
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters.values()
    return types.MappingProxyType(
        {
            p.name: Setting(p.name, hints.get(p.name, Any), p.default, _meaning(hints.get(p.name)))
            for p in parameters
            if p.kind is p.KEYWORD_ONLY
        }
    )


def validate_settings(owner: str, known: Mapping[str, Setting], settings: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of `owner`, validated; ValueError for one that it does not have or that is not allowed."""
    for name in settings:
        if name not in known:
            raise ValueError(f"{owner} has no setting {name!r}; it has: {', '.join(known) or 'none'}")
    return {name: known[name].validate(settings[name]) if name in settings else known[name].default for name in known}


def freeze(value: Any) -> Any:
    """A hashable key for the value of a setting: arrays by their bytes, containers by their items."""
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, Mapping):
        return tuple((key, freeze(item)) for key, item in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(map(freeze, value))
    return type(value), value


def show(value: Any, most: int = 80) -> str:
    """A value in one short line."""
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"an array of shape {value.shape} and type {value.dtype}"
    if callable(value):
        return getattr(value, "name", None) or getattr(value, "__name__", None) or type(value).__name__
    try:
        text = " ".join(repr(value).split())
    except Exception:  # an integer too long to be printed, or a user-defined class
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= most else text[: most - 3] + "..."


def _conform(value: Any, annotation: Any) -> Any:
    """The value converted to the annotated type; _Mismatch if it does not fit."""
    origin = get_origin(annotation)
    if annotation is Any:
        return value
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        value = _conform(value, inner)
        for bound in metadata:
            if type(bound) in _SIGNS and value is not None and not _SIGNS[type(bound)][1](value, bound.value):
                raise _Mismatch
        return value
    if origin in (Union, types.UnionType):
        return _first_that_fits(value, get_args(annotation))
    if origin is Literal:
        if any(type(value) is type(choice) and value == choice for choice in get_args(annotation)):
            return value
        raise _Mismatch
    if origin in (tuple, list):
        return _sequence(value, origin, get_args(annotation))
    if origin is dict:
        key, item = get_args(annotation)
        if not isinstance(value, Mapping):
            raise _Mismatch
        return {_conform(k, key): _conform(v, item) for k, v in value.items()}
    return _scalar(value, annotation)


def _scalar(value: Any, annotation: Any) -> Any:
    """The value converted to a type that is not a container; _Mismatch if it does not fit."""
    is_bool = isinstance(value, (bool, np.bool_))
    if annotation is bool:
        return bool(value) if is_bool else _raise_mismatch()
    if annotation is int:
        return int(value) if isinstance(value, Integral) and not is_bool else _raise_mismatch()
    if annotation is float:
        return _finite(value) if isinstance(value, Real) and not is_bool else _raise_mismatch()
    if annotation is np.ndarray:
        return _array(value)
    if annotation is None or annotation is type(None):
        return None if value is None else _raise_mismatch()
    if _is_callable_type(annotation):
        return value if callable(value) else _raise_mismatch()
    return value if isinstance(value, annotation) else _raise_mismatch()


def _raise_mismatch() -> Any:
    raise _Mismatch


def _finite(value: Any) -> float | int:
    """A number that is finite in float32; whole numbers stay whole, where float64 represents them exactly."""
    try:
        number = float(value)
    except OverflowError:
        raise _Mismatch from None
    if not abs(number) <= FLOAT32_MAX:
        raise _Mismatch
    return int(value) if isinstance(value, Integral) and abs(number) <= 2**53 else number


def _array(value: Any) -> np.ndarray:
    """A numeric array that is finite in float32."""
    if isinstance(value, (str, bytes, Mapping)) or value is None or callable(value):
        raise _Mismatch
    try:
        array = np.asarray(value)
        fits = array.dtype.kind in "iufb" and bool((np.abs(array.astype("float64")) <= FLOAT32_MAX).all())
    except Exception:  # containers of other libraries may raise any error
        raise _Mismatch from None
    return array if fits else _raise_mismatch()


def _sequence(value: Any, origin: type, items: tuple) -> tuple | list:
    """The value converted to a tuple or list of the annotated items."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        raise _Mismatch
    if origin is tuple and items[-1] is not Ellipsis and len(items) != len(value):
        raise _Mismatch
    annotations = items if origin is tuple and items[-1] is not Ellipsis else [items[0]] * len(value)
    return origin(_conform(one, item) for one, item in zip(value, annotations))


def _first_that_fits(value: Any, annotations: tuple) -> Any:
    """The value converted to the first annotation that allows it."""
    for annotation in annotations:
        try:
            return _conform(value, annotation)
        except _Mismatch:
            continue
    raise _Mismatch


def _literal(text: str) -> list:
    """[value] of a text that is a Python literal, or `true`, `false` or `none` in any case; [] for any other."""
    words = {"true": True, "false": False, "none": None}
    if text.strip().lower() in words:
        return [words[text.strip().lower()]]
    try:
        return [ast.literal_eval(text)]
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return []


def _meaning(annotation: Any) -> str:
    """The one-line meaning in an annotation."""
    if get_origin(annotation) is not Annotated:
        return ""
    return next((part for part in reversed(get_args(annotation)[1:]) if isinstance(part, str)), "")


def _describe(annotation: Any) -> str:
    """A description of the values that an annotation allows."""
    origin, items = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        bounds = [f"{_SIGNS[type(bound)][0]} {bound.value:,}" for bound in items[1:] if type(bound) in _SIGNS]
        return " ".join([_describe(items[0]), " and ".join(bounds)]).strip()
    if origin in (Union, types.UnionType):
        return _either([word for item in items for word in _alternatives(item)])
    if origin is Literal:
        return _either(_alternatives(annotation))
    if origin in (tuple, list):
        if origin is tuple and items[-1] is not Ellipsis:
            return f"({', '.join(map(_describe, items))})"
        return f"a {'tuple' if origin is tuple else 'list'} whose items are each {_describe(items[0])}"
    if annotation in _NAMES:
        return _NAMES[annotation]
    if origin is dict:
        return f"a dict from {_describe(items[0])} to {_describe(items[1])}"
    return "a function" if _is_callable_type(annotation) else f"a {getattr(annotation, '__name__', annotation)}"


_NAMES: dict[Any, str] = {
    **{bool: "true or false", int: "an integer", float: "a finite number", str: "a name", np.ndarray: "an array"},
    **{type(None): "None", None: "None", Any: "any value"},
}


def _alternatives(annotation: Any) -> list[str]:
    """The choices of a literal, or a description of any other annotation."""
    is_literal = get_origin(annotation) is Literal
    return [repr(item) for item in get_args(annotation)] if is_literal else [_describe(annotation)]


def _is_callable_type(annotation: Any) -> bool:
    return annotation is Callable or get_origin(annotation) is Callable


def _either(words: list[str]) -> str:
    """`a, b or c`, without repetitions."""
    words = list(dict.fromkeys(words))
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
