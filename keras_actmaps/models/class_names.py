"""Class names from a file."""

import json
import os
from pathlib import Path
from typing import Any


def read_class_names(path: str | os.PathLike) -> tuple[str, ...]:
    """The names of the classes, by number.

    Parameters
    ----------
    path : path
        A text file with a name per line, or a JSON file with a list of names, with an object `{"0": "cat", ...}` or
        `{"cat": 0, ...}`, or with that of ImageNet, `{"0": ["n01440764", "tench"], ...}`.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it does not contain names for the numbers 0, 1, 2, ...
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file of class names {str(path)!r}")
    try:
        text = path.read_text(encoding="utf-8-sig")
        names = _from_json(json.loads(text)) if text.lstrip()[:1] in {"[", "{"} else text.splitlines()
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} contains no names of the classes 0, 1, 2, ...: {error}") from error
    while names and not names[-1].strip():
        names = names[:-1]
    if not names:
        raise ValueError(f"{str(path)!r} contains no class names")
    return tuple(name.strip() for name in names)


def _from_json(found: Any) -> list[str]:
    if isinstance(found, list):
        return [_name(item) for item in found]
    by_number = found if all(key.isdigit() for key in found) else {str(number): name for name, number in found.items()}
    return [_name(by_number[str(number)]) for number in range(len(by_number))]


def _name(item: Any) -> str:
    """A name; of ImageNet's pairs the second."""
    name = item[1] if isinstance(item, list) else item
    if not isinstance(name, str):
        raise TypeError(f"{name!r} is no name")
    return name
