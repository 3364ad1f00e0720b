"""Which methods with which settings: the values of --method and -s; and Mode, what a command does with them."""

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
        Those of its settings that are on the command line.
    error : ValueError or None
        Why it cannot take one of these, where other methods can.
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
        The records of the methods that it knows, by name.
    validate : callable
        `(options)` raises ValueError, before a model is loaded, for options that do not fit.
    write : callable
        `(request, choices, options)` computes, writes and returns the paths written.
    """

    table: Mapping[str, Entry]
    validate: Callable[["ExplainOptions"], None]
    write: Callable[["Request", list[Choice], "ExplainOptions"], list[Path]]


def parse_choices(method: str, pairs: Sequence[str], table: Mapping[str, Entry]) -> list[Choice]:
    """The methods of `--method`, each with those of the settings `KEY=VALUE` that it has.

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
    """`["steps=64"]` as {"steps": "64"}; of a repeated key the last."""
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
    """Why a method does not allow a value of one of its settings; None where it does."""
    try:
        record.settings[key].parse(text)
    except ValueError as error:
        return error
    return None
