"""Inside: feature maps by layer, pooling, exemplars, and images that maximize the score of a class."""

import time

import numpy as np
import streamlit as st

from keras_actmaps import render
from keras_actmaps.core.types import Array
from keras_actmaps.features.feature_maps import find_layers
from keras_actmaps.ui import looking
from keras_actmaps.ui.explaining import target_of
from keras_actmaps.ui.inputs import Gallery, Picture
from keras_actmaps.ui.models import Loaded
from keras_actmaps.ui.predictions import probabilities
from keras_actmaps.ui.state import Session
from keras_actmaps.ui.tabs.waiting import job_of
from keras_actmaps.ui.work import Job


def show(session: Session, loaded: Loaded, picture: Picture, gallery: Gallery | None) -> None:
    """Draw the tab."""
    if picture.pixels is None:
        st.info("Pictures of features are drawn for models of images.")
        return
    layers = _layers(loaded)
    if not layers:
        st.info("This model has no layer with a grid of features.")
        return
    layer = st.selectbox("Layer", layers, len(layers) - 1, key="inside-layer")
    try:
        maps, numbers = looking.channels_of(loaded, picture, layer)
        _features(maps, numbers, layer)
        _pooling(loaded, picture, layer)
        if gallery is not None and len(gallery) > 1:
            _exemplars(loaded, gallery, layer, numbers)
    except ValueError as error:
        st.caption(str(error))
    _ascent(session, loaded, picture)


@st.cache_data(max_entries=8, show_spinner=False)
def _paths(key: str, version: float, _loaded: Loaded) -> list[str]:
    return find_layers(_loaded.traced, "all")


def _layers(loaded: Loaded) -> list[str]:
    try:
        return _paths(loaded.choice.key, loaded.choice.version, loaded)
    except ValueError:
        return []


def _features(maps: Array, numbers: list[int], layer: str) -> None:
    st.subheader("Feature maps", anchor=False)
    text = ", ".join(map(str, numbers))
    height, width = maps.shape[1:]
    st.image(looking.sheet(maps), f"Most active channels of {layer} ({height} × {width}): {text}", width="stretch")


def _pooling(loaded: Loaded, picture: Picture, layer: str) -> None:
    try:
        stages = looking.pooled(loaded, picture, layer)
    except ValueError:  # the layer is no convolution
        return
    with st.expander("Before and after pooling"):
        for caption, image in stages:
            st.image(image, caption, width="stretch")
        st.caption("A column is a channel; the colors of a column have one scale.")


def _exemplars(loaded: Loaded, gallery: Gallery, layer: str, numbers: list[int]) -> None:
    with st.expander("Exemplars: the images that activate a channel most", expanded=True):
        chosen = st.multiselect("Channels", numbers, numbers[:3], key=f"exemplars-{layer}", max_selections=6)
        if chosen:
            image = looking.exemplar_sheet(loaded, gallery, layer, chosen)
            st.image(image, f"Rows: channels {', '.join(map(str, chosen))}; the strongest on the left")


def _ascent(session: Session, loaded: Loaded, picture: Picture) -> None:
    st.subheader("An image that maximizes a class", anchor=False)
    count = loaded.traced.classes or 0
    if not count:
        st.caption("This model has no classes.")
        return
    first = target_of(loaded, session.view.target, "")
    if first is None:
        values = probabilities(loaded, picture.inputs)
        first = 0 if values is None else min(int(np.argmax(values[0])), count - 1)
    target = st.selectbox("Class", range(count), first, format_func=loaded.name, key=f"ascent-class-{first}")
    key = ("ascent", loaded.choice.key, loaded.choice.version, target)
    if st.button("Grow the image", icon=":material/play_arrow:", key="grow"):
        session.jobs.pop(key, None)
        job_of(session, key, lambda job: looking.grow(loaded, target, job.report, lambda found: _keep(job, found)))
        st.rerun()
    job = session.jobs.get(key)
    if job is not None:
        running = not job.is_finished
        st.fragment(_growing, run_every=0.4 if running else None)(job, loaded.name(target), running)


def _keep(job: Job, found: tuple) -> None:
    job.partial = found


def _growing(job: Job, name: str, ran: bool) -> None:
    """The image as it is at this moment."""
    job.wanted = time.monotonic()
    if job.partial is not None:
        pixels, step, score = job.partial
        shown = render.fit(render.pixels(pixels[None])[0], (320, 320, 3))
        st.image(shown, f"{name}: step {step} of {looking.STEPS}, score {score:.3g}", width=320)
    elif not job.is_finished:
        st.progress(0.0, "Compiling…" if job.state == "running" else "Waiting…")
    if job.error:
        st.error(job.error)
    if ran and job.is_finished:
        st.rerun()
