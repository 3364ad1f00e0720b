"""First visit: no model yet; one button trains an example."""

import streamlit as st

from keras_actmaps.ui import example, models
from keras_actmaps.ui.config import Config
from keras_actmaps.ui.models import Choice
from keras_actmaps.ui.state import Session
from keras_actmaps.ui.tabs.choose import choose_model


def show(session: Session, options: Config, available: list[Choice]) -> None:
    """Draw the page without a model."""
    job = example.training(options.runs)
    if options.read_only:
        st.info("No model is available here yet. The operator adds one with --runs or --models.")
        return
    if job is None or job.is_finished:
        st.markdown(
            "There is no trained model yet. The example is a small network that tells ten garments apart, each drawn "
            "among three digits in a grid: a good map points at the garment."
        )
        if job is not None and job.error:
            st.error(f"The training stopped: {job.error}")
        if st.button("Train the example", type="primary", icon=":material/play_arrow:"):
            example.start(options.runs)
            st.rerun()
        choose_model(session, available, None)
        return
    st.fragment(_progress, run_every=0.5)(options)


def _progress(options: Config) -> None:
    """The progress bar of the training; the page goes on by itself when there is a run."""
    job = example.training(options.runs)
    if job is None or job.is_finished or models.run_folders(options.runs):
        st.rerun()
        return
    words = "Drawing the images…" if not job.total else f"Training: {job.share:.0%}"
    accuracy = f", accuracy {job.partial:.0%}" if job.partial else ""
    st.progress(job.share, f"{words}{accuracy}")
    st.caption("About half a minute on two cores. The page goes on by itself.")
