"""What the methods say of themselves: a sentence, the paper, settings, cost and failures, read off their docstrings."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass

from keras_actmaps.methods import METHODS
from keras_actmaps.methods.registry import settings_of


@dataclass(frozen=True)
class Entry:
    """A method as a reader meets it."""

    name: str
    sentence: str
    paper: str
    settings: dict
    cost: str
    fails: str

    def setting_words(self) -> str:
        """`steps=32, baseline='zero'`"""
        shown = {key: getattr(value, "__name__", None) or repr(value) for key, value in self.settings.items()}
        return ", ".join(f"{key}={value}" for key, value in shown.items())


def entry(name: str, methods: Mapping = METHODS) -> Entry:
    """The entry of one of the methods; ValueError for one whose docstring lacks a part."""
    method = methods[name]
    text = inspect.getdoc(method)
    first = " ".join(text.partition("\n\n")[0].split())
    found = re.match(r"(.+?) \((.*?\d{4}.*?)\)[.:]", first)
    lines = {word: re.search(rf"^{word}: (.+?)(?=\n\S|\Z)", text, re.M | re.S) for word in ("Cost", "Fails")}
    if found is None or None in lines.values():
        raise ValueError(f"the docstring of {name!r} needs 'Sentence (Paper YEAR).', 'Cost: ...' and 'Fails: ...'")
    cost, fails = (" ".join(line.group(1).split()) for line in lines.values())
    return Entry(name, found.group(1), found.group(2), settings_of(method), cost, fails)


def listing(methods: Mapping = METHODS) -> str:
    """Methods for a terminal."""
    parts = []
    for name in methods:
        it = entry(name, methods)
        parts.append(f"{name}\n    {it.sentence} ({it.paper}).\n    settings: {it.setting_words() or 'none'}")
    return "\n".join(parts)


def table(methods: Mapping = METHODS) -> str:
    """Methods as Markdown."""
    rows = ["| method | what it shows | settings | cost | fails | paper |", "| --- | --- | --- | --- | --- | --- |"]
    for name in methods:
        it = entry(name, methods)
        settings = f"`{it.setting_words()}`" if it.settings else "none"
        cells = [f"`{name}`", it.sentence, settings, it.cost, it.fails, it.paper]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)
