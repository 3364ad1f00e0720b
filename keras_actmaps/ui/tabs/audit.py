"""Audit: what the model relies on over a data set, where an audit of it was written."""

from pathlib import Path

import streamlit as st

from keras_actmaps.ui.models import Loaded


def show(loaded: Loaded) -> None:
    """Draw the tab."""
    folder = None if loaded.run is None else loaded.run.path / "audit"
    pictures = [] if folder is None else _pictures(folder)
    if not pictures:
        st.info("There is no audit of this model yet: its pictures are read from the folder audit of the run.")
        return
    for picture in pictures:
        st.image(picture.read_bytes(), picture.stem.replace("_", " "), width="stretch")


def _pictures(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"))
