"""The look of the page, and small pieces of HTML, whose texts are all escaped."""

from collections.abc import Iterable, Sequence
from html import escape

import streamlit as st

CSS = """
<style>
.block-container {max-width: 1280px; padding: 3.2rem 3rem 3rem;}
.am-title {display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem .9rem; margin-bottom: .2rem;}
.am-title h1 {font-size: 1.55rem; padding: 0; margin: 0;}
.am-title span {opacity: .8; font-size: .95rem;}
.am-bars {display: grid; grid-template-columns: minmax(5.5rem, max-content) 1fr 3.6rem; gap: .35rem .7rem;
  align-items: center; font-size: .92rem; margin: .2rem 0 .6rem;}
.am-bars .name {overflow: hidden; text-overflow: ellipsis; white-space: nowrap; max-width: 13rem;}
.am-bars .track {height: .7rem; border-radius: .35rem; background: rgba(128, 128, 128, .22); overflow: hidden;}
.am-bars .fill {height: 100%; background: #0072b2; border-radius: .35rem;}
.am-bars .value {text-align: right; font-variant-numeric: tabular-nums;}
[data-baseweb="tag"] {background-color: #1f6fa8 !important;}
[data-baseweb="tag"] * {color: #fff !important;}
[data-testid="stCaptionContainer"] p, [data-testid="stImageCaption"] p {color: inherit !important; opacity: .85;}
[data-testid="stCaptionContainer"], [data-testid="stImageCaption"] {color: inherit !important; opacity: 1;}
.am-picture {margin: 0; font-size: .9rem;}
.am-picture img {border-radius: .5rem; image-rendering: auto; max-width: 100%;}
.am-scroll {overflow-x: auto;}
.am-table {border-collapse: collapse; font-size: .92rem; width: 100%;}
.am-table th, .am-table td {padding: .45rem .8rem; text-align: right; border-bottom: 1px solid rgba(128, 128, 128, .3);
  font-variant-numeric: tabular-nums; white-space: nowrap;}
.am-table th:first-child {text-align: left;}
.am-tokens {margin: 0 0 1rem; line-height: 2.1;}
.am-tokens span {padding: .2rem .35rem; margin-right: .15rem; border-radius: .25rem;}
.am-matrix {border-collapse: separate; border-spacing: 3px; font-size: .88rem;}
.am-matrix th {font-weight: 600; padding: .3rem .5rem; text-align: left;}
.am-matrix td {padding: .45rem .7rem; text-align: center; border-radius: .3rem; font-variant-numeric: tabular-nums;}
@media (max-width: 640px) {
  .block-container {padding-left: 1rem; padding-right: 1rem;}
  .am-bars {grid-template-columns: minmax(4.5rem, max-content) 1fr 3.2rem;}
}
</style>
"""


def page(title: str, subtitle: str) -> None:
    """The head of the page."""
    st.html(CSS)
    st.html(f'<div class="am-title"><h1>{escape(title)}</h1><span>{escape(subtitle)}</span></div>')


def picture(address: str, caption: str, width: int) -> str:
    """An image of a `data:` address with a caption, which is also read aloud."""
    text = escape(caption)
    image = f'<img src="{escape(address)}" alt="{text}" width="{width}">'
    return f'<figure class="am-picture">{image}<figcaption>{text}</figcaption></figure>'


def bars(rows: Iterable[tuple[str, float]]) -> str:
    """Names and shares 0..1 as bars."""
    cells = []
    for name, share in rows:
        label = escape(name)
        cells.append(
            f'<div class="name" title="{label}">{label}</div><div class="track" role="img" '
            f'aria-label="{label}: {share:.1%}"><div class="fill" style="width:{100 * share:.1f}%"></div></div>'
            f'<div class="value">{share:.1%}</div>'
        )
    return f'<div class="am-bars">{"".join(cells)}</div>'


def matrix(names: list[str], values: Iterable[Iterable[float]], caption: str) -> str:
    """A square matrix of numbers -1..1, blue where they are high and orange where they are negative."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = []
    for name, row in zip(names, values):
        cells = "".join(_cell(value) for value in row)
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    label = escape(caption)
    return f'<table class="am-matrix" aria-label="{label}"><tr><td></td>{head}</tr>{"".join(rows)}</table>'


def _cell(value: float) -> str:
    return f'<td style="background: rgba({_color(value)}, {0.5 * min(1.0, abs(value)):.2f})">{value:.2f}</td>'


def table(head: Sequence[str], body: Iterable[tuple[str, Sequence[tuple[str, str, bool]]]]) -> str:
    """Rows of cells (text, explanation, whether it is the best)."""
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    rows = []
    for name, cells in body:
        texts = "".join(
            f'<td title="{escape(note)}">{"<b>" if best else ""}{escape(text)}{"</b>" if best else ""}</td>'
            for text, note, best in cells
        )
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{texts}</tr>')
    return (
        '<div class="am-scroll" tabindex="0" role="region" aria-label="Metrics"><table class="am-table"><thead><tr>'
        f'<th scope="col">method</th>{columns}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def tokens(title: str, note: str, words: Sequence[str], values: Iterable[float]) -> str:
    """Words, blue where their values are positive and orange where they are negative."""
    values = list(values)
    largest = max((abs(float(value)) for value in values), default=0.0) or 1.0
    spans = []
    for word, value in zip(words, values):
        color, strength = _color(float(value)), 0.5 * abs(float(value)) / largest
        spans.append(
            f'<span style="background: rgba({color}, {strength:.2f})" title="{value:.3g}">{escape(word)}</span>'
        )
    return f'<p class="am-tokens"><b>{escape(title)}</b> · {escape(note)}<br>{" ".join(spans)}</p>'


def _color(value: float) -> str:
    """Blue or orange, which eyes without red or green tell apart, as red, green and blue."""
    return "0, 114, 178" if value >= 0 else "213, 94, 0"
