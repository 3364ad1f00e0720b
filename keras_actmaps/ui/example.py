"""The example of a first visit: a small model that is trained on drawn grids, in a thread of its own."""

import threading
from pathlib import Path
from typing import Any

import keras
import streamlit as st

from keras_actmaps.ui.work import Job, run

DATASET, IMAGES, EPOCHS = "drawn-grid", 3_000, 4  # about half a minute on two cores


class _Progress(keras.callbacks.Callback):
    """Counts the batches of all epochs."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job

    def on_train_begin(self, logs: Any = None) -> None:
        self.job.done, self.job.total = 0, self.params["epochs"] * self.params["steps"]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.job.done += 1
        self.job.partial = float((logs or {}).get("accuracy", 0.0))


@st.cache_resource
def _trainings() -> dict[str, Job]:
    """The training in each folder of runs, seen by all visitors."""
    return {}


_lock = threading.Lock()


def training(runs: str) -> Job | None:
    """The training that runs or has run in a folder."""
    return _trainings().get(runs)


def start(runs: str, explain: str = "") -> Job:
    """Begin the training, unless it runs already."""
    with _lock:
        job = _trainings().get(runs)
        if job is None or job.is_finished:
            job = Job("all", DATASET, lambda own: _train(own, runs, explain))
            _trainings()[runs] = job
            threading.Thread(target=run, args=(job,), name="actmaps-training", daemon=True).start()
    return job


def _train(job: Job, runs: str, explain: str) -> Any:
    from keras_actmaps.callbacks.explain_callback import of_run
    from keras_actmaps.training.train import train  # both import TensorFlow

    of_maps = of_run(explain) if explain else None

    def callbacks(data: Any, folder: Path) -> list[keras.callbacks.Callback]:
        return [_Progress(job), *(of_maps(data, folder) if of_maps else [])]

    return train(DATASET, epochs=EPOCHS, limit=IMAGES, runs=runs, say=lambda line: None, callbacks=callbacks)
