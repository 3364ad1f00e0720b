"""Choice: a method and its settings, from --method and -s; and Mode, one way of running the command explain."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_actmaps.methods.catalogue import Entry

if TYPE_CHECKING:
    from keras_actmaps.cli.options import ExplainOptions
    from keras_actmaps.cli.request import Request


@dataclass(frozen=True, eq=False)
class Choice:
    """A method or figure with its settings.

    Attributes
    ----------
    name : str
    record : Entry
        Its record in the table.
    settings : mapping
        Its settings from the command line.
    error : ValueError or None
        The reason why it does not allow one of these, if other methods do.
    """

    name: str
    record: Any
    settings: Mapping[str, Any]
    error: ValueError | None = None


@dataclass(frozen=True, eq=False)
class Mode:
    """One way in which the command explain works.

    Attributes
    ----------
    table : mapping
        The records of its methods, by name.
    validate : callable
        `(options)` raises ValueError, before a model is loaded, for options that do not fit.
    write : callable
        `(request, choices, options)` computes, writes and returns the paths written.
    """

    table: Mapping[str, Entry]
    validate: Callable[["ExplainOptions"], None]
    write: Callable[["Request", list[Choice], "ExplainOptions"], list[Path]]


def parse_choices(method: str, pairs: Sequence[str], table: Mapping[str, Entry]) -> list[Choice]:
    """The methods of `--method`, each with its settings among the `KEY=VALUE` pairs.

    Raises
    ------
    ValueError
        For an unknown method, a setting that none of the methods has, and a value that a method does not allow; where
        all methods are requested, only for a value that none of them allows.
    """
    names = list(table) if method == "all" else method.split(",")
    for name in names:
        if name not in table:
            raise ValueError(f"no method {name!r}; choices: {', '.join(table)}")
    texts = _parse_pairs(pairs)
    for key, text in texts.items():
        owners = [name for name in names if key in table[name].settings]
        if not owners:
            known = sorted({key for name in names for key in table[name].settings})
            raise ValueError(f"{method} has no setting {key!r}; choices: {', '.join(known) or 'none'}")
        errors = [error for name in owners if (error := _parse_error(table[name], key, text))]
        if errors and (method != "all" or len(errors) == len(owners)):
            raise errors[0]
    return [_choose(name, table[name], texts) for name in names]


def _parse_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """`["steps=64"]` as {"steps": "64"}; the last one if a key is repeated."""
    texts = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"-s {pair!r} is not KEY=VALUE")
        texts[key] = value
    return texts


def _choose(name: str, record: Entry, texts: Mapping[str, str]) -> Choice:
    """A method with its own settings among the texts."""
    own = {key: text for key, text in texts.items() if key in record.settings}
    for key, text in own.items():
        error = _parse_error(record, key, text)
        if error is not None:
            return Choice(name, record, {}, error)
    return Choice(name, record, {key: record.settings[key].parse(text) for key, text in own.items()})


def _parse_error(record: Entry, key: str, text: str) -> ValueError | None:
    """The error of a value that a method does not allow for one of its settings; None for an allowed one."""
    try:
        record.settings[key].parse(text)
    except ValueError as error:
        return error
    return None
