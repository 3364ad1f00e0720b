"""Widgets for the settings of a method, built from the annotations of its function."""

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import streamlit as st

from keras_actmaps.core.settings import Ge, Gt, Le, Lt, Setting, show
from keras_actmaps.methods.registry import Method


def settings_widgets(method: Method, texts: Mapping[str, str], key: str) -> dict[str, str]:
    """Show the settings of a method.

    Parameters
    ----------
    method : Method
    texts : mapping
        The values that differ from the defaults, as in a link.
    key : str
        Prefix of the widgets' keys.

    Returns
    -------
    dict
        What differs from the defaults, as text; what is not allowed is reported and left out.
    """
    changed = {}
    for name, setting in method.settings.items():
        kind, details = kind_of(setting)
        if kind == "hidden":
            continue
        text = widget(setting, kind, details, texts.get(name), f"{key}-{name}")
        if text == _as_text(setting.default):
            continue
        try:
            value = setting.parse(text)
        except ValueError as error:
            st.error(str(error))
            continue
        if not _same(value, setting.default):
            changed[name] = text
    return changed


def parse_settings(method: Method, texts: Mapping[str, str]) -> dict[str, Any]:
    """The values of texts, such as those of a link; without what is not allowed or cannot be drawn."""
    values = {}
    for name, text in texts.items():
        if name not in method.settings or kind_of(method.settings[name])[0] == "hidden" or text == "keep":
            continue
        try:
            values[name] = method.settings[name].parse(text)
        except ValueError:
            continue
    return values


def kind_of(setting: Setting) -> tuple[str, dict[str, Any]]:
    """The widget of a setting, "select", "checkbox", "integer", "number", "text" or "hidden", and its details."""
    annotation, bounds = _plain(setting.annotation)
    if get_origin(annotation) is Literal:
        return "select", {"options": list(get_args(annotation))}
    if annotation is bool:
        return "checkbox", {}
    if annotation in (int, float) and isinstance(setting.default, (int, float)):
        return "integer" if annotation is int else "number", bounds
    if get_origin(annotation) in (Union, types.UnionType):
        return ("text" if _is_written(annotation) else "hidden"), {}
    return ("text", {}) if _is_written(annotation) else ("hidden", {})


def widget(setting: Setting, kind: str, details: dict[str, Any], text: str | None, key: str) -> str:
    """Show the widget of a setting, with the value of `text` or the default; returns its value as text."""
    help_text = f"{setting.meaning or setting.name}: {setting.choices()} (default: {show(setting.default)})"
    start = _start(setting, text)
    if kind == "select":
        options = [option for option in details["options"] if option != "keep"]  # channels cannot be drawn
        chosen = st.selectbox(
            setting.name, options, options.index(start) if start in options else 0, key=key, help=help_text
        )
        return str(chosen)
    if kind == "checkbox":
        return str(st.checkbox(setting.name, bool(start), key=key, help=help_text))
    if kind == "integer":
        limits: dict[str, Any] = {name: int(value) for name, value in details.items()}
        return str(st.number_input(setting.name, value=int(start), step=1, key=key, help=help_text, **limits))
    if kind == "number":
        number = st.number_input(setting.name, value=float(start), format="%.4g", step=0.1, key=key, help=help_text)
        return str(number)
    placeholder = f"default: {show(setting.default)}"
    return str(st.text_input(setting.name, _as_text(start), key=key, help=help_text, placeholder=placeholder)).strip()


def _as_text(value: Any) -> str:
    """A value as it is typed; nothing for None."""
    if value is None:
        return ""
    return value if isinstance(value, str) else show(value)


def _start(setting: Setting, text: str | None) -> Any:
    """The value that a widget begins with: that of a link, if it is allowed."""
    try:
        return setting.default if text is None else setting.parse(text)
    except ValueError:
        return setting.default


def _plain(annotation: Any) -> tuple[Any, dict[str, Any]]:
    """An annotation without its metadata, and the bounds in it as arguments of a widget."""
    bounds: dict[str, Any] = {}
    while get_origin(annotation) is Annotated:
        annotation, *metadata = get_args(annotation)
        for bound in metadata:
            if isinstance(bound, (Ge, Gt)):
                bounds["min_value"] = bound.value + (isinstance(bound, Gt) and annotation is int)
            if isinstance(bound, (Le, Lt)) and abs(bound.value) < 2**53:
                bounds["max_value"] = bound.value - (isinstance(bound, Lt) and annotation is int)
    return annotation, bounds


def _is_written(annotation: Any) -> bool:
    """Whether values can be typed: no arrays, functions or mappings alone."""
    annotation, _ = _plain(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return any(_is_written(part) for part in get_args(annotation) if part is not type(None))
    return annotation in (int, float, str, bool) or get_origin(annotation) in (Literal, tuple, list)


def _same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and bool(one == other))
