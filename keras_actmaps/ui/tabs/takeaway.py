"""Take away: files of the maps, the commands that reproduce them, and a link that restores the view."""

import io
import tempfile
from pathlib import Path

import numpy as np
import streamlit as st

from keras_actmaps import render
from keras_actmaps.render.colors import blend
from keras_actmaps.ui import commands
from keras_actmaps.ui.explaining import map_of
from keras_actmaps.ui.inputs import Picture
from keras_actmaps.ui.models import Loaded
from keras_actmaps.ui.state import Session
from keras_actmaps.ui.tabs.look import look_of_link
from keras_actmaps.ui.work import Job


def show(session: Session, loaded: Loaded, picture: Picture, jobs: list[Job], runs: str) -> None:
    """Draw the downloads of the maps that are done."""
    with st.expander("Take away: files, commands, link"):
        if not jobs:
            st.caption("The files appear when the first map is computed.")
            return
        names = [job.key.method for job in jobs]
        with st.container(horizontal=True):
            method = st.selectbox("Method", names, key="take-method", width=220)
            job = jobs[names.index(method)]
            st.download_button("npz", lambda: as_npz(job), f"{method}.npz", key="npz", on_click="ignore")
            st.download_button("CSV", lambda: as_csv(job), f"{method}.csv", "text/csv", key="csv", on_click="ignore")
            if picture.pixels is not None:
                st.download_button("PNG", lambda: as_png(job, picture), f"{method}.png", key="png", on_click="ignore")
        st.caption("npz: the raw map with all that it depends on (kam.Explanation.load). CSV: y, x, value.")
        settings = {job.key.method: dict(job.key.settings) for job in jobs}
        st.code(commands.command_line(loaded, picture, session.view, runs), "shell", wrap_lines=True)
        st.code(commands.python_lines(loaded, picture, session.view, runs, settings), "python", wrap_lines=True)
        if picture.key.startswith("upload:"):
            st.caption("A link cannot restore an uploaded image; it restores all else.")
        else:
            st.caption("The address of this page restores the view.")


def as_npz(job: Job) -> bytes:
    """The explanation, as `Explanation.save` writes it."""
    with tempfile.TemporaryDirectory() as folder:
        return job.result.save(Path(folder) / "map.npz").read_bytes()


def as_csv(job: Job) -> bytes:
    """A line `y,x,value` for each pixel."""
    values = map_of(job.result)
    rows, columns = np.indices(values.shape)
    buffer = io.StringIO("y,x,value\n")
    buffer.seek(0, io.SEEK_END)
    np.savetxt(buffer, np.stack([rows.ravel(), columns.ravel(), values.ravel()], 1), "%d,%d,%.9g")
    return buffer.getvalue().encode()


def as_png(job: Job, picture: Picture) -> bytes:
    """The map over the image with the sliders as they are in the link."""
    look = look_of_link()
    contour, colormap = look.get("contour") or None, look.get("colormap", "turbo")
    values = map_of(job.result)[None]
    below = render.pixels(np.asarray(picture.pixels)[None])
    blended = blend(below, render.normalize(values), look.get("opacity", 0.5), colormap, contour)
    return render.as_png(blended[0])
