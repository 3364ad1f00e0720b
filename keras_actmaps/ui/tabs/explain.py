"""Explain: maps of several methods side by side, drawn as they are computed."""

import time
from typing import Any

import numpy as np
import streamlit as st

from keras_actmaps.methods import METHODS
from keras_actmaps.ui import components, controls, limits, theme
from keras_actmaps.ui.config import Config
from keras_actmaps.ui.explaining import describe, map_of, queue, request, support_of, wanted_maps
from keras_actmaps.ui.inputs import Picture
from keras_actmaps.ui.models import Loaded
from keras_actmaps.ui.predictions import probabilities
from keras_actmaps.ui.state import Session
from keras_actmaps.ui.tabs import place, takeaway
from keras_actmaps.ui.tabs.look import show_look
from keras_actmaps.ui.work import Job

CARD = 280  # pixels, the width of a map
POLL = 0.3  # seconds between two looks at a computation


def show(session: Session, loaded: Loaded, picture: Picture, gallery: Any, options: Config) -> None:
    """Draw the tab."""
    methods = _question(session, loaded, picture)
    _settings(session, methods)
    show_look()
    if not methods:
        st.info("Choose at least one method.")
        return
    wanted = wanted_maps(session, loaded, picture)
    jobs = request(session, wanted, loaded, picture)
    waits = any(not job.is_finished for job in jobs)
    st.fragment(_cards, run_every=POLL if waits else None)(session, loaded, picture, jobs, waits)
    place.show(session, loaded, picture, gallery)
    takeaway.show(session, loaded, picture, [job for job in jobs if job.state == "done"], options.runs)


def _question(session: Session, loaded: Loaded, picture: Picture) -> list[str]:
    """The methods, the class and the layer; returns the methods."""
    view = session.view
    fitting = support_of(loaded, picture, view.layer if view.layer in loaded.traced.layers else "").methods
    chosen = [method for method in view.methods if method in fitting]
    methods = st.multiselect(
        "Methods",
        fitting,
        chosen,
        key="methods",
        max_selections=limits.METHODS,
        help=f"At most {limits.METHODS} at a time; each is computed as soon as it is chosen.",
    )
    first, second, third = st.columns(3)
    names = _classes(loaded, picture)
    with first:
        target = _class("Class", "predicted class", names, view.target, "target")
    with second:
        minus = _class("Minus", "no difference", names, view.minus, "minus") if target else ""
        if not target:
            st.selectbox("Minus", ["choose a class first"], key="no-minus")
    layers = ["", *loaded.traced.layers]
    default = f"default: {loaded.traced.layer}" if loaded.traced.layer else "none"
    layer = third.selectbox(
        "Layer",
        layers,
        layers.index(view.layer) if view.layer in layers else 0,
        format_func=lambda path: path or default,
        key="layer",
        help="For the methods that read features, such as Grad-CAM.",
    )
    session.change(methods=tuple(methods), target=target, minus=minus, layer=layer)
    return methods


def _classes(loaded: Loaded, picture: Picture) -> dict[str, str]:
    """The classes by number as text, the most probable five first, with their probabilities."""
    values = probabilities(loaded, picture.inputs)
    count = loaded.traced.classes or 0
    if values is None or values.shape[1] < count:
        return {str(number): loaded.name(number) for number in range(count)}
    best = [int(number) for number in (-values[0]).argsort()[:5] if number < count]
    names = {str(number): f"{loaded.name(number)} ({values[0, number]:.1%})" for number in best}
    return names | {str(number): loaded.name(number) for number in range(count) if number not in best}


def _class(label: str, empty: str, names: dict[str, str], chosen: str, key: str) -> str:
    options = ["", *names]
    index = options.index(chosen) if chosen in options else 0
    return st.selectbox(label, options, index, format_func=lambda number: names.get(number, empty), key=key)


def _settings(session: Session, methods: list[str]) -> None:
    """The settings of the methods."""
    texts = {}
    with st.expander("Settings of the methods"):
        if not methods:
            st.caption("Choose a method first.")
        for method in methods:
            record = METHODS[method]
            st.markdown(f"**{method}**: {record.summary}. {record.paper}")
            st.caption(f"Cost: {record.cost} Limitations: {record.limitations}")
            if record.settings:
                with st.container(horizontal=True):
                    known = session.view.settings.get(method, {})
                    texts[method] = controls.settings_widgets(record, known, f"set-{method}")
    session.change(settings=texts)


def _cards(session: Session, loaded: Loaded, picture: Picture, jobs: list[Job], waited: bool) -> None:
    """The image and the maps; runs again and again while maps are computed."""
    now = time.monotonic()
    for job in jobs:
        job.wanted = now
    with st.container(horizontal=True, gap="small"):
        if picture.pixels is not None:
            _card("image", _image_data(picture), session, loaded)
        for number, job in enumerate(jobs):
            if picture.tokens:
                _token_card(picture, job, loaded)
                continue
            _card(f"card-{number}", _data(loaded, picture, job), session, loaded)
    if waited and all(job.is_finished for job in jobs):
        st.rerun()


def _card(key: str, data: dict[str, Any], session: Session, loaded: Loaded) -> None:
    result = components.mount("card", key, data, values=("place",), width=CARD)
    if result.place and data.get("asks"):
        session.place = place.validated(result.place, data["width"], data["height"])
        st.rerun()


def _token_card(picture: Picture, job: Job, loaded: Loaded) -> None:
    """The tokens, each with the color of its value."""
    if job.state == "done":
        values = map_of(job.result).ravel()[: len(picture.tokens)]
        st.html(theme.tokens(job.key.method, describe(job.result, loaded, job.seconds), picture.tokens, values))
    else:
        st.html(theme.tokens(job.key.method, job.error or job.state, picture.tokens, np.zeros(len(picture.tokens))))


def _image_data(picture: Picture) -> dict[str, Any]:
    pixels = np.asarray(picture.pixels)
    height, width = pixels.shape[:2]
    return {
        **{"title": "image", "note": picture.title, "state": "image", "file": "image.png", "asks": True},
        **{"image": components.as_png(pixels), "height": height, "width": width, "hint": "click a place"},
        "label": f"The image, {picture.title}",
    }


def _data(loaded: Loaded, picture: Picture, job: Job) -> dict[str, Any]:
    """What a card shows of a job."""
    method = job.key.method
    pixels = np.asarray(picture.pixels)
    height, width = pixels.shape[:2]
    data = {
        **{"title": method, "state": job.state, "file": f"{method}.png", "height": height, "width": width},
        **{"image": components.as_png(pixels), "label": f"Map of {method}", "asks": True},
    }
    if job.state == "done":
        note = describe(job.result, loaded, job.seconds)
        return data | {"note": note, "map": components.as_numbers(map_of(job.result)), "hint": "hover for values"}
    if job.state == "waiting":
        ahead = queue().position(job)
        message = f"waiting, {ahead} ahead" if ahead else "waiting"
    elif job.state == "running":
        message = f"{job.share:.0%}" if job.total else "computing"
    else:
        message = job.error or "stopped"
    return data | {"note": message, "message": message, "map": None}
