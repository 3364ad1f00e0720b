"""Listings of methods from their records: for a terminal, and in Markdown for the documentation."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from keras_actmaps.core.settings import Setting, show


class Entry(Protocol):
    """The attributes that a listing reads from a `Method` or any other record."""

    @property
    def name(self) -> str: ...

    @property
    def summary(self) -> str: ...

    @property
    def paper(self) -> str: ...

    @property
    def cost(self) -> str: ...

    @property
    def limitations(self) -> str: ...

    @property
    def settings(self) -> Mapping[str, Setting]: ...


def listing(table: Mapping[str, Entry]) -> str:
    """A listing of the methods for a terminal.

    Parameters
    ----------
    table : mapping
        Records by name, such as `METHODS`.

    Returns
    -------
    str
        For each method its name, summary and paper, and a line per setting: default, meaning and allowed values.
    """
    return "\n".join(_listed(name, entry) for name, entry in table.items())


def table(entries: Mapping[str, Entry]) -> str:
    """The methods as a Markdown table: summary, settings with their defaults, cost, limitations and paper."""
    rows = []
    for name, entry in entries.items():
        settings = ", ".join(setting.show_default() for setting in entry.settings.values())
        shown = f"`{settings}`" if settings else "none"
        rows.append([f"`{name}`", entry.summary, shown, entry.cost, entry.limitations, entry.paper])
    return _markdown(["method", "what it shows", "settings", "cost", "limitations", "paper"], rows)


def settings_table(entries: Mapping[str, Entry]) -> str:
    """The settings of the methods as a Markdown table: default, allowed values, meaning, and the methods with it."""
    owners: dict[tuple[str, ...], list[str]] = {}
    for name, entry in entries.items():
        for setting in entry.settings.values():
            row = (setting.name, show(setting.default), setting.choices(), setting.meaning)
            owners.setdefault(row, []).append(name)
    rows = [
        [f"`{setting}`", f"`{default}`", choices, meaning, ", ".join(f"`{name}`" for name in names)]
        for (setting, default, choices, meaning), names in sorted(owners.items())
    ]
    return _markdown(["setting", "default", "values", "meaning", "methods"], rows)


def _listed(name: str, entry: Entry) -> str:
    settings = [
        f"        {setting.show_default()}: {setting.meaning or setting.name} ({setting.choices()})"
        for setting in entry.settings.values()
    ]
    heading = "    settings:" if settings else "    settings: none"
    return "\n".join([name, f"    {entry.summary} ({entry.paper}).", heading, *settings])


def _markdown(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
