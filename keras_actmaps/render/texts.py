"""Pictures of texts: words on the colors of their values, as HTML, as a figure and for a terminal."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from keras_actmaps.core.explanation import Explanation, maps_of_one_input
from keras_actmaps.core.files import save_text
from keras_actmaps.core.types import Array
from keras_actmaps.render.panels import save
from keras_actmaps.render.text_figure import draw
from keras_actmaps.render.text_panels import Panel, printable, shade

STYLE = (
    "background:#fff;color:#111;font-family:system-ui,sans-serif;line-height:1.7;padding:.6em",
    "display:grid;grid-template-columns:repeat(auto-fit,minmax(20em,1fr));gap:.8em",
    "border:1px solid #ccc;border-radius:4px;padding:.5em .7em;overflow-wrap:anywhere",
)
BAR, STEPS = 24, (-1.0, 0.0, 1.0)  # width of the legend in a terminal; its colors


@dataclass(frozen=True)
class TextPicture:
    """Words on the colors of their values: red for positive, blue for negative, white for 0.

    Attributes
    ----------
    rows : tuple of (str, tuple of Panel)
        For each text its title and its panels, one for each method and class.
    caption : str
    """

    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    caption: str = ""

    @property
    def html(self) -> str:
        """A self-contained fragment of HTML, with escaped words, the value of a word on hover, and legends."""
        outer, grid, box = STYLE
        parts = [f'<div class="kam-text" style="{outer}">']
        for title, panels in self.rows:
            cells = (f'<div style="{box}">{_panel_html(panel)}</div>' for panel in panels)
            head = f"<h4 style='margin:.4em 0'>{escape(title)}</h4>" if title else ""
            parts.append(f'{head}<div style="{grid}">{"".join(cells)}</div>')
        caption = f"<p style='color:#555'>{escape(self.caption)}</p>" if self.caption else ""
        return "".join([*parts, caption, "</div>"])

    @property
    def terminal(self) -> str:
        """Lines with ANSI colors."""
        lines: list[str] = []
        for title, panels in self.rows:
            lines += [printable(title)] if title else []
            for panel in panels:
                words = (_ansi(printable(word), _color(panel, value)) for word, value in zip(panel.words, panel.values))
                ends = f"{-panel.largest:.2g}", f"{panel.largest:+.2g}"
                bar = "".join(_ansi(" ", shade(share)) for share in np.linspace(-1, 1, BAR))
                lines += [f"{printable(panel.title)}  {ends[0]} {bar} {ends[1]}", " ".join(words), ""]
        return "\n".join([*lines, *([printable(self.caption)] if self.caption else [])])

    @property
    def figure(self) -> Figure:
        """A Matplotlib figure."""
        return draw(self.rows, self.caption)

    def save(self, path: str | os.PathLike) -> Path:
        """Write the picture as `.html` or `.png`, atomically; ValueError for any other suffix."""
        suffix = Path(path).suffix.lower()
        if suffix == ".html":
            page = (
                f'<!doctype html><html lang="en"><meta charset="utf-8"><title>keras_actmaps</title>{self.html}</html>'
            )
            return save_text(Path(path), page)
        if suffix == ".png":
            return save(self.figure, Path(path))
        raise ValueError(f"{str(path)!r} must end in .html or .png")

    def _repr_html_(self) -> str:
        return self.html


def text(
    explanations: Explanation | Sequence[Explanation],
    words: Sequence[Any],
    *,
    classes: Sequence[str] = (),
    titles: Sequence[str] = (),
    caption: str = "",
) -> TextPicture:
    """Draw the maps of texts, by one or several methods, of one or several classes, side by side.

    Parameters
    ----------
    explanations : Explanation or list of these
        With maps (N, T) or (N, K, T) of token ids or words. Each text has one scale for each method, the same for all
        classes, from minus the largest magnitude to this.
    words : list of lists of str, or list of str
        For each text the words of its first places; for a single text its words alone.
    classes : sequence of str
        The names of the classes.
    titles : sequence of str
        What is written above each text.
    caption : str
        What is written below all.

    Returns
    -------
    TextPicture
        `.html`, `.figure`, `.terminal` and `.save("picture.html")` or `.save("picture.png")`; a notebook displays it.

    Raises
    ------
    ValueError
        For maps that are not of texts, and for words that do not fit them.
    """
    found = [explanations] if isinstance(explanations, Explanation) else list(explanations)
    if not found:
        raise ValueError("there are no explanations to draw")
    of_texts = [list(words)] if words and isinstance(words[0], str) else [list(one) for one in words]
    columns = [column for one in found for column in _columns(one, of_texts, classes)]
    named = [*titles, *[""] * len(of_texts)]
    return TextPicture(tuple((named[row], tuple(panels)) for row, panels in enumerate(zip(*columns))), caption)


def _columns(explanation: Explanation, words: list[list[str]], classes: Sequence[str]) -> Iterator[list[Panel]]:
    """For each class of an explanation the panels of all texts."""
    maps, scores = maps_of_one_input(explanation), np.asarray(explanation.scores)
    if maps.ndim != 1 + scores.ndim or len(maps) != len(words):
        raise ValueError(f"words of {len(words)} texts do not fit maps of shape {maps.shape}")
    if not np.isfinite(maps).all():
        raise ValueError("the maps contain NaN or Inf")
    maps, scores = maps.reshape(len(maps), -1, maps.shape[-1]), scores.reshape(len(scores), -1)
    for row, own in enumerate(words):
        if len(own) > maps.shape[-1] or maps[row][:, len(own) :].any():
            raise ValueError(f"text {row} has {len(own)} words, which do not fit a map of {maps.shape[-1]} places")
    largest = [float(value) or 1.0 for value in np.abs(maps).max(axis=(1, 2), initial=0.0)]
    targets = None if explanation.targets is None else np.reshape(explanation.targets, scores.shape)
    for column in range(maps.shape[1]):
        panels = []
        for row, own in enumerate(words):
            name = explanation.target_name or "" if targets is None else _name(int(targets[row, column]), classes)
            title = f"{explanation.method} · {name}, score {scores[row, column]:.2f}"
            values = maps[row, column, : len(own)]
            panels.append(Panel(title, tuple(own), tuple(map(float, values)), largest[row]))
        yield panels


def _name(target: int, classes: Sequence[str]) -> str:
    return classes[target] if target < len(classes) else f"class {target}"


def _color(panel: Panel, value: float) -> Array:
    return shade(value / panel.largest)


def _ansi(word: str, color: Array) -> str:
    red, green, blue = (round(255 * part) for part in color)
    return f"\x1b[38;2;0;0;0;48;2;{red};{green};{blue}m{word}\x1b[0m"


def _panel_html(panel: Panel) -> str:
    words = " ".join(
        f'<span style="background:{to_hex(tuple(_color(panel, value)))};border-radius:3px;padding:0 .15em" '
        f'title="{value:+.3g}">{escape(word)}</span>'
        for word, value in zip(panel.words, panel.values)
    )
    stops = ",".join(to_hex(tuple(shade(share))) for share in STEPS)
    bar = f'<span style="display:inline-block;width:8em;height:.7em;background:linear-gradient(90deg,{stops})"></span>'
    legend = f'<small style="white-space:nowrap">{-panel.largest:.2g} {bar} {panel.largest:+.2g}</small>'
    return f"<div><b>{escape(panel.title)}</b> {legend}</div>{words}"
