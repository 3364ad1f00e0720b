"""The figure of a picture of texts: words in a fixed-width font, so that lines can be broken before drawing."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from keras_actmaps.render.text_panels import Panel, printable, shade

MOST_COLUMNS = 3  # panels side by side
LETTERS = {1: 100, 2: 64, 3: 52}  # in a line, by the number of columns
LETTER, LINE = 0.075, 0.19  # inches: 9 pixels of the saved picture, so that no rounding adds up
SIZE, FONT = 8.97, "DejaVu Sans Mono"
MARGIN, HEAD, TITLE = 0.15, 0.62, 0.3  # inches: around panels, above their words, above a text
Placed = tuple[str, float, int, int]  # a word, its value, its line, its first letter


def draw(rows: Sequence[tuple[str, Sequence[Panel]]], caption: str = "") -> Figure:
    """The panels of each text in rows of up to three, each with its legend."""
    widest = max(len(panels) for _, panels in rows)
    columns = min(widest, MOST_COLUMNS)
    letters = LETTERS[columns]
    blocks: list[tuple[str, list[tuple[Panel, list[Placed]]], float]] = []
    for title, panels in rows:
        for first in range(0, len(panels), columns):
            placed = [(panel, _lines(panel, letters)) for panel in panels[first : first + columns]]
            height = HEAD + LINE * max(1 + max((one[2] for one in words), default=0) for _, words in placed)
            blocks.append((title if first == 0 else "", placed, height))
    width = columns * (letters * LETTER + 2 * MARGIN)
    total = sum(height + MARGIN + (TITLE if title else 0) for title, _, height in blocks) + 2 * MARGIN
    figure = Figure(figsize=(width, total), dpi=150)
    top = total - MARGIN
    for title, placed, height in blocks:
        if title:
            _write(figure, MARGIN / width, (top - 0.2) / total, title, size=11, weight="bold")
            top -= TITLE
        for column, (panel, words) in enumerate(placed):
            left = column * (letters * LETTER + 2 * MARGIN) + MARGIN
            place = (left / width, (top - height) / total, letters * LETTER / width, height / total)
            _draw_panel(figure.add_axes(place), panel, words, letters * LETTER, height)
        top -= height + MARGIN
    if caption:
        _write(figure, MARGIN / width, MARGIN / total, caption, size=8, color="#555555")
    return figure


def _write(figure: Figure, x: float, y: float, line: str, **options: object) -> None:
    figure.text(x, y, printable(line), parse_math=False, **options)  # type: ignore[arg-type]


def _lines(panel: Panel, letters: int) -> list[Placed]:
    """The words in lines of so many letters; a longer word is cut."""
    placed: list[Placed] = []
    line, column = 0, 0
    for word, value in zip(panel.words, panel.values):
        shown = printable(word)
        shown = shown if len(shown) <= letters else f"{shown[: letters - 1]}…"
        if column and column + len(shown) > letters:
            line, column = line + 1, 0
        placed.append((shown, value, line, column))
        column += len(shown) + 1
    return placed


def _draw_panel(axes: Axes, panel: Panel, words: list[Placed], width: float, height: float) -> None:
    """A panel in inches: its title, its legend and its words."""
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    axes.text(0, 0.12, printable(panel.title), size=9, weight="bold", va="center", parse_math=False)
    _draw_legend(axes, panel.largest)
    for word, value, line, column in words:
        left, top = column * LETTER, HEAD - 0.12 + line * LINE
        box = Rectangle((left - 0.02, top), len(word) * LETTER + 0.04, LINE - 0.02, color=shade(value / panel.largest))
        axes.add_patch(box)
        middle = top + LINE / 2 - 0.01
        axes.text(left, middle, word, size=SIZE, family=FONT, va="center_baseline", parse_math=False)


def _draw_legend(axes: Axes, largest: float) -> None:
    """The colors from minus the largest value to the largest."""
    left, width, steps = 0.5, 1.4, 41
    for number, share in enumerate(np.linspace(-1, 1, steps)):
        at = left + width * number / steps
        axes.add_patch(Rectangle((at, 0.26), width / steps, 0.12, color=shade(float(share)), lw=0))
    axes.text(left - 0.06, 0.32, f"{-largest:.2g}", size=7, va="center", ha="right")
    axes.text(left + width + 0.06, 0.32, f"{largest:+.2g}", size=7, va="center")
