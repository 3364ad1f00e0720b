"""Waiting for computations: a progress bar that polls, and a page that goes on by itself."""

import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from keras_actmaps.ui.explaining import queue, submit
from keras_actmaps.ui.state import Session
from keras_actmaps.ui.work import Job

POLL = 0.4  # seconds between two looks at a computation


def job_of(session: Session, key: tuple, function: Callable[[Job], Any]) -> Job:
    """The job of that key, which is submitted if there is none; others of the same kind are stopped."""
    for known, job in list(session.jobs.items()):
        is_of_kind = isinstance(known, tuple) and known[0] == key[0] and known != key
        if is_of_kind and not job.is_finished:
            queue().stop(job)
            session.jobs.pop(known)
    found = session.jobs.get(key)
    if found is None or found.state == "stopped":
        found = submit(session, key, function)
    return found


def wait_for(jobs: list[Job], words: str) -> None:
    """A progress bar until the jobs are finished; then the page is drawn again."""
    st.fragment(_poll, run_every=POLL)(jobs, words)


def _poll(jobs: list[Job], words: str) -> None:
    now = time.monotonic()
    for job in jobs:
        job.wanted = now
    if all(job.is_finished for job in jobs):
        st.rerun()
    share = sum(1.0 if job.is_finished else job.share for job in jobs) / max(1, len(jobs))
    waiting = [job for job in jobs if job.state == "waiting"]
    ahead = max((queue().position(job) for job in waiting), default=0)
    st.progress(share, f"{words}: {share:.0%}" + (f", {ahead} computations ahead" if ahead else ""))
