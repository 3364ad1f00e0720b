"""Compare: metrics of the maps, deletion and insertion curves, and how far the methods agree."""

import math
from typing import Any

import streamlit as st

from keras_actmaps.comparison.table import short
from keras_actmaps.metrics import METRICS
from keras_actmaps.ui import components, measuring, theme
from keras_actmaps.ui.explaining import Wanted, request, target_of, wanted_maps
from keras_actmaps.ui.inputs import Picture
from keras_actmaps.ui.measuring import Measured
from keras_actmaps.ui.models import Loaded
from keras_actmaps.ui.state import Session
from keras_actmaps.ui.tabs.waiting import job_of, wait_for
from keras_actmaps.ui.work import Job

ARROWS = {"higher": "↑", "lower": "↓"}


def show(session: Session, loaded: Loaded, picture: Picture) -> None:
    """Draw the tab."""
    wanted = wanted_maps(session, loaded, picture)
    if not wanted:
        st.info("Choose methods in the tab Explain first.")
        return
    names = st.multiselect(
        "Metrics",
        measuring.choices(),
        list(measuring.DEFAULT),
        key="metrics",
        help="Of this image only; explain.py --compare measures a data set.",
    )
    maps = request(session, wanted, loaded, picture)
    if not all(job.is_finished for job in maps):
        wait_for(maps, "Computing the maps")
        return
    done = [job for job in maps if job.state == "done"]
    jobs = [job_of(session, _key(job, names), _measure(job, names, session, loaded, picture)) for job in done]
    if not all(job.is_finished for job in jobs):
        wait_for(jobs, "Measuring")
        return
    rows = {job.key.method: measured.result for job, measured in zip(done, jobs) if measured.state == "done"}
    for job in [*maps, *jobs]:
        if job.error:
            st.warning(f"{_name(job)}: {job.error}")
    if rows:
        _table(rows, names)
        _curves(rows)
        _agreement(done)


def _key(job: Job, names: list[str]) -> tuple:
    return f"measure {job.key.method}", job.key, tuple(names)


def _name(job: Job) -> str:
    return job.key.method if isinstance(job.key, Wanted) else str(job.key[1].method)


def _measure(job: Job, names: list[str], session: Session, loaded: Loaded, picture: Picture) -> Any:
    target = target_of(loaded, session.view.target, session.view.minus)
    explanation = job.result
    return lambda own: measuring.measure(loaded.model, picture.inputs, explanation, target, names, own.report)


def _table(rows: dict[str, Measured], names: list[str]) -> None:
    st.subheader("Metrics", anchor=False)
    best = {name: _best(rows, name) for name in names}
    head = [f"{name} {ARROWS[METRICS[name].better]}" for name in names]
    body = []
    for method, measured in rows.items():
        values = [measured.values[name] for name in names]
        cells = [("–", value, False) if isinstance(value, str) else (short(value), "", False) for value in values]
        marked = [(text, note, method in best[name]) for (text, note, _), name in zip(cells, names)]
        body.append((method, marked))
    st.html(theme.table(head, body))
    st.caption("↑ higher is better, ↓ lower is better, the best in bold. One image says little: measure a data set.")


def _best(rows: dict[str, Measured], name: str) -> set[str]:
    """The methods with the best value of a metric."""
    numbers = {method: measured.values[name] for method, measured in rows.items()}
    finite = {method: value for method, value in numbers.items() if isinstance(value, float) and math.isfinite(value)}
    if not finite:
        return set()
    best = (max if METRICS[name].better == "higher" else min)(finite.values())
    return {method for method, value in finite.items() if value == best}


def _curves(rows: dict[str, Measured]) -> None:
    left, right = st.columns(2)
    for column, kind, words in ((left, "deletion", "hidden"), (right, "insertion", "shown")):
        curves = {method: getattr(measured, kind) for method, measured in rows.items()}
        drawn = {method: curve for method, curve in curves.items() if len(curve)}
        if drawn:
            with column:
                st.subheader(kind.capitalize(), anchor=False)
                components.chart(kind, drawn, f"share of the pixels that is {words}", "probability")


def _agreement(done: list[Job]) -> None:
    if len(done) < 2:
        return
    st.subheader("Agreement", anchor=False)
    try:
        values = measuring.agreement([job.result for job in done])
    except ValueError as error:
        st.caption(str(error))
        return
    names = [job.key.method for job in done]
    st.html(theme.matrix(names, values, "Rank correlation of the maps"))
    st.caption("Spearman's rank correlation of the pixels: 1 where two maps order the pixels alike.")
