"""Table: methods beside each other in numbers, as CSV, Markdown and HTML."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path

import numpy as np

from keras_actmaps.core.files import save_rows

ARROWS = {"higher": "↑", "lower": "↓"}
STYLE = (
    "body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}img{max-width:100%}"
    "th,td{padding:.3em .8em;text-align:right;border-bottom:1px solid #ccc}"
    "th:first-child,td:first-child{text-align:left}"
)


@dataclass(frozen=True, eq=False)
class Table:
    """Methods by metrics.

    methods: (M,) names, with the settings that were given. metrics: (K,) names likewise. better: (K,) "higher" or
    "lower". values: float64 (M,K,N), one number an image; NaN where an image has none, as without a mask. seconds:
    (M,), to explain an image when all is compiled. passes: (M,), how often the model was run for an image, its score
    included; what ablationcam runs behind its layer is within one pass.
    """

    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    better: tuple[str, ...]
    values: np.ndarray
    seconds: np.ndarray
    passes: np.ndarray

    @cached_property
    def counts(self) -> np.ndarray:
        """(M,K): the images that a mean is of."""
        return np.isfinite(self.values).sum(-1)

    @cached_property
    def mean(self) -> np.ndarray:
        """(M,K): over the images that have a value; NaN where none has."""
        counts = self.counts
        return np.where(counts > 0, np.nansum(self.values, -1) / np.maximum(counts, 1), np.nan)

    @cached_property
    def error(self) -> np.ndarray:
        """(M,K): the standard error of the mean, s / sqrt(N) with N - 1 in s; NaN for one image."""
        counts = self.counts
        squares = np.nansum((self.values - self.mean[..., None]) ** 2, -1)
        return np.where(counts > 1, np.sqrt(squares / np.maximum(counts - 1, 1) / np.maximum(counts, 1)), np.nan)

    @cached_property
    def best(self) -> np.ndarray:
        """bool (M,K): the best mean of each metric."""
        return self.winners(self.mean)

    def winners(self, values: np.ndarray) -> np.ndarray:
        """bool like values (M,K): the best of each metric, all of them where several are equal."""
        signs = np.where(np.array(self.better) == "higher", 1.0, -1.0)
        signed = np.where(np.isfinite(values), values * signs, -np.inf)
        return (signed == signed.max(axis=0, initial=-np.inf)) & np.isfinite(values)

    def save_csv(self, path: str | os.PathLike) -> Path:
        """A row a method: for each metric its mean, its standard error and the images that have a value."""
        header = [name for metric in self.metrics for name in (metric, f"{metric} error", f"{metric} images")]
        lines = [["method", *header, "seconds an image", "passes"]]
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
        return f"{table}\n\n{self.note()}\n"

    def html(self, title: str = "", picture: str = "") -> str:
        """A page with the table, and the picture of that name where one is given."""
        header, *rows = self._cells(lambda text: f"<b>{text}</b>", escape)
        head = "".join(f"<th>{cell}</th>" for cell in header)
        body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
        shown = f'<p><img src="{escape(picture)}" alt="the maps"></p>\n' if picture else ""
        return (f"<!DOCTYPE html>\n<html><head><meta charset='utf-8'><title>{escape(title)}</title>\n"
                f"<style>{STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n"
                f"</tbody></table>\n<p>{escape(self.note())}</p>\n{shown}</body></html>\n")  # fmt: skip

    def note(self) -> str:
        """What the numbers are, and how many images have none."""
        total = self.values.shape[-1]
        words = f"{total} image{'s' * (total != 1)}; mean ± standard error; ↑ more is better, ↓ less is better."
        left_out = {metric: total - int(count) for metric, count in zip(self.metrics, self.counts.min(0))}
        some = ", ".join(f"{metric} {count}" for metric, count in left_out.items() if count)
        return words + (f" Images without a value, left out: {some}." if some else "")

    def _cells(self, bold: Callable[[str], str], safe: Callable[[str], str] = str) -> Iterator[list[str]]:
        """The header and the rows as texts."""
        marked = [f"{safe(name)} {ARROWS[better]}" for name, better in zip(self.metrics, self.better)]
        yield ["method", *marked, "time an image", "passes"]
        for number, method in enumerate(self.methods):
            cells = [bold(text) if is_best else text for text, is_best in zip(self.texts(number), self.best[number])]
            yield [safe(method), *cells, duration(self.seconds[number]), short(self.passes[number])]

    def texts(self, number: int) -> list[str]:
        """A method's means and standard errors as texts."""
        pairs = zip(self.mean[number], self.error[number])
        return [short(mean) + (f" ± {short(error, 2)}" if np.isfinite(error) else "") for mean, error in pairs]


def duration(seconds: float) -> str:
    """`12 ms` or `3.4 s`."""
    return f"{short(seconds)} s" if seconds >= 1 else f"{short(1000 * seconds)} ms"


def short(value: float, digits: int = 3) -> str:
    """A number to so many digits, a large one whole; a dash for none."""
    if not np.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def _plain(value: float):
    """A number for a file; nothing for none."""
    return "" if not np.isfinite(value) else f"{value:.6g}"
