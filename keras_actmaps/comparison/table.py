"""Table: methods by metrics in numbers, as CSV, Markdown and HTML."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from keras_actmaps.core.files import save_rows
from keras_actmaps.core.types import Array

ARROWS = {"higher": "↑", "lower": "↓"}
STYLE = (
    "body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}img{max-width:100%}"
    "th,td{padding:.3em .8em;text-align:right;border-bottom:1px solid #ccc}"
    "th:first-child,td:first-child{text-align:left}"
)
PAGE = """<!DOCTYPE html>
<html><head><meta charset='utf-8'><title>{title}</title>
<style>{style}</style></head><body>
<h1>{title}</h1>
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody></table>
<p>{description}</p>
{image}</body></html>
"""


@dataclass(frozen=True, eq=False)
class Table:
    """Methods by metrics.

    Attributes
    ----------
    methods, metrics : tuple of str
        Labels (M,) and (K,): names, with the settings that were passed.
    better : tuple of str
        "higher" or "lower", for each metric.
    values : float64 array of shape (M, K, N)
        One per image; NaN if an image has none, for example without a mask.
    seconds : float64 array of shape (M,)
        Time to explain one image, without compilation.
    passes : float64 array of shape (M,)
        Number of forward passes per image, including that of the score; runs of the layers after the explained one,
        as in ablationcam, are part of one pass.
    """

    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    better: tuple[str, ...]
    values: Array
    seconds: Array
    passes: Array

    @cached_property
    def counts(self) -> Array:
        """The number (M, K) of images that have a value."""
        return np.isfinite(self.values).sum(-1)

    @cached_property
    def mean(self) -> Array:
        """The mean (M, K) over the images that have a value; NaN if none has."""
        counts = self.counts
        return np.where(counts > 0, np.nansum(self.values, -1) / np.maximum(counts, 1), np.nan)

    @cached_property
    def error(self) -> Array:
        """The standard error (M, K) of the mean, s / sqrt(N) with N - 1 in s; NaN for one image."""
        counts = self.counts
        squares = np.nansum((self.values - self.mean[..., None]) ** 2, -1)
        return np.where(counts > 1, np.sqrt(squares / np.maximum(counts - 1, 1) / np.maximum(counts, 1)), np.nan)

    @cached_property
    def best(self) -> Array:
        """Whether (M, K) a method has the best mean of a metric."""
        return self.winners(self.mean)

    def winners(self, values: Array) -> Array:
        """Whether each of `values` (M, K) is the best of its metric; all of them in case of ties."""
        signs = np.where(np.array(self.better) == "higher", 1.0, -1.0)
        signed = np.where(np.isfinite(values), values * signs, -np.inf)
        return (signed == signed.max(axis=0, initial=-np.inf)) & np.isfinite(values)

    def save_csv(self, path: str | os.PathLike) -> Path:
        """Write one row per method: for each metric the mean, its standard error and the number of images."""
        header = [name for metric in self.metrics for name in (metric, f"{metric} error", f"{metric} images")]
        lines: list[list[Any]] = [["method", *header, "seconds per image", "passes"]]
        for number, method in enumerate(self.methods):
            cells = zip(self.mean[number], self.error[number], self.counts[number])
            found = [text for mean, error, count in cells for text in (_plain(mean), _plain(error), int(count))]
            lines.append([method, *found, _plain(self.seconds[number]), _plain(self.passes[number])])
        return save_rows(path, lines)

    def markdown(self) -> str:
        """The table in Markdown: mean ± standard error, the best in bold."""
        header, *rows = self._cells(lambda text: f"**{text}**")
        lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
        table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        return f"{table}\n\n{self.describe()}\n"

    def html(self, title: str = "", picture: str = "") -> str:
        """A page with the table, and with the picture of that file name if there is one."""
        header, *rows = self._cells(lambda text: f"<b>{text}</b>", escape)
        head = "".join(f"<th>{cell}</th>" for cell in header)
        body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
        image = f'<p><img src="{escape(picture)}" alt="the maps"></p>\n' if picture else ""
        return PAGE.format(
            title=escape(title), style=STYLE, head=head, body=body, description=escape(self.describe()), image=image
        )

    def describe(self) -> str:
        """A description of the numbers, and of how many images have no value."""
        total = self.values.shape[-1]
        words = f"{total} image{'s' * (total != 1)}; mean ± standard error; ↑ higher is better, ↓ lower is better."
        left_out = {metric: total - int(count) for metric, count in zip(self.metrics, self.counts.min(0))}
        some = ", ".join(f"{metric} {count}" for metric, count in left_out.items() if count)
        return words + (f" Images without a value, left out: {some}." if some else "")

    def _cells(self, bold: Callable[[str], str], safe: Callable[[str], str] = str) -> Iterator[list[str]]:
        """The header and the rows as text."""
        marked = [f"{safe(name)} {ARROWS[better]}" for name, better in zip(self.metrics, self.better)]
        yield ["method", *marked, "time per image", "passes"]
        for number, method in enumerate(self.methods):
            cells = [bold(text) if is_best else text for text, is_best in zip(self.texts(number), self.best[number])]
            yield [safe(method), *cells, duration(self.seconds[number]), short(self.passes[number])]

    def texts(self, number: int) -> list[str]:
        """The means and standard errors of a method as text."""
        pairs = zip(self.mean[number], self.error[number])
        return [short(mean) + (f" ± {short(error, 2)}" if np.isfinite(error) else "") for mean, error in pairs]


def duration(seconds: float) -> str:
    """A duration as text: `12 ms` or `3.4 s`."""
    return f"{short(seconds)} s" if seconds >= 1 else f"{short(1000 * seconds)} ms"


def short(value: float, digits: int = 3) -> str:
    """A number with `digits` significant digits, a large one without decimals; a dash for NaN."""
    if not np.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def _plain(value: float) -> str:
    """A number for a file; an empty text for NaN."""
    return "" if not np.isfinite(value) else f"{value:.6g}"
