"""Training: the history of a run, and the strips of its maps, live while `train.py --explain` writes them."""

import csv
from pathlib import Path

import numpy as np
import streamlit as st

from keras_actmaps.training import runs
from keras_actmaps.ui import components, example
from keras_actmaps.ui.config import Config
from keras_actmaps.ui.models import Loaded

POLL = 2.0  # seconds


def show(options: Config, loaded: Loaded) -> None:
    """Draw the tab."""
    folders = _folders(options, loaded)
    if not folders:
        st.info("The strips of a training appear here; begin one with: python train.py --explain gradcam")
        return
    names = {str(folder): folder for folder in folders}
    chosen = st.selectbox("Run", list(names), format_func=lambda name: _label(names[name]), key="training-run")
    folder = names[chosen]
    st.fragment(_run, run_every=POLL if _is_live(folder) else None)(folder)
    if not options.read_only and not any(map(_is_live, folders)):
        st.caption("The example can be trained again, with Grad-CAM after each epoch.")
        if st.button("Train the example", key="train-again"):
            example.start(options.runs, explain="gradcam")
            st.rerun()


def _folders(options: Config, loaded: Loaded) -> list[Path]:
    """Unfinished runs first, then the run of the model, then the others."""
    root = Path(options.runs)
    found = [path.parent for path in sorted(root.glob("*/run.json"))]
    own = None if loaded.run is None else loaded.run.path
    shown = [path for path in found if not path.name.endswith(runs.EARLIER)]
    return sorted(shown, key=lambda path: (not _is_live(path), path != own, path.name))


def _is_live(folder: Path) -> bool:
    return folder.name.endswith(runs.PARTIAL)


def _label(folder: Path) -> str:
    return folder.name.removesuffix(runs.PARTIAL) + (" (in training)" if _is_live(folder) else "")


def _run(folder: Path) -> None:
    """The history and the strips of a run, read again and again while it is trained."""
    if not folder.is_dir():  # the run has been published, or discarded
        st.rerun()
    _history(folder)
    for method in sorted(path for path in folder.glob("explain/*") if path.is_dir()):
        st.subheader(method.name, anchor=False)
        strip = method / "strip.png"
        pictures = sorted(method.glob("epoch-*.png"))
        if strip.is_file():
            st.image(strip.read_bytes(), width="stretch")
        elif pictures:
            st.image(pictures[-1].read_bytes(), f"{pictures[-1].stem}, the latest of {len(pictures)}", width="stretch")
    if not (folder / "explain").is_dir():
        st.caption("This run was trained without --explain, so there are no maps of its epochs.")


def _history(folder: Path) -> None:
    """The accuracy of each epoch."""
    file = folder / runs.HISTORY
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines())) if file.is_file() else []
    lines = {}
    for name, words in (("accuracy", "training"), ("val_accuracy", "validation")):
        values = [float(row[name]) for row in rows if row.get(name)]
        if len(values) > 1:
            lines[words] = np.array(values)
    if lines:
        epochs = len(next(iter(lines.values())))
        st.subheader("Accuracy", anchor=False)
        with st.container(width=560):
            ticks = [(epoch / (epochs - 1), str(epoch + 1)) for epoch in range(0, epochs, max(1, epochs // 6))]
            components.chart("history", lines, "epoch", "accuracy", ticks)
