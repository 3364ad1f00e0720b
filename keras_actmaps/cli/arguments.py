"""Command-line arguments: a parser whose errors are one line, and types with a range."""

import argparse
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

from keras_actmaps.core.settings import LARGEST, Ge, Gt, Le, Lt, Setting

Count = Annotated[int, Ge(1), Le(LARGEST)]
Index = Annotated[int, Ge(0)]
Seed = Annotated[int, Ge(0), Lt(2**32)]
Share = Annotated[float, Ge(0), Le(1)]
Rate = Annotated[float, Gt(0)]
Port = Annotated[int, Ge(1), Lt(2**16)]


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises ValueError for arguments that it cannot accept."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def typed(annotation: Any) -> Callable[[str], Any]:
    """A type for `add_argument` that accepts the values allowed by the annotation of a setting."""
    setting = Setting("", annotation, None, "")

    def parse(text: str) -> Any:
        try:
            return setting.parse(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be {setting.choices()}, got {text[:80]!r}") from None

    return parse


def nonempty(text: str) -> str:
    """A type for `add_argument`: any text but an empty one."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text
