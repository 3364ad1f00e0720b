"""The queue of computations: bounded, shared by all visitors, and stopped when a page no longer wants the result."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from keras_actmaps.ui import limits

Report = Callable[[int, int | None], None]
State = Literal["waiting", "running", "done", "failed", "stopped"]


class Full(RuntimeError):
    """The queue has no room for another computation."""


class Stopped(Exception):
    """Raised inside a computation that is no longer wanted."""


@dataclass(eq=False)
class Job:
    """A computation, and what is known of it.

    Attributes
    ----------
    owner : str
        The session that wants it.
    key : Any
        What it computes.
    function : callable
        `function(job)` returns the result; it calls `job.report` where it can be stopped.
    """

    owner: str
    key: Any
    function: Callable[["Job"], Any]
    state: State = "waiting"
    done: int = 0
    total: int | None = None
    seconds: float = 0.0
    result: Any = None
    partial: Any = None  # shown while it runs
    error: str = ""
    wanted: float = field(default_factory=time.monotonic)
    began: float = 0.0
    cancelled: bool = False

    @property
    def is_finished(self) -> bool:
        return self.state in ("done", "failed", "stopped")

    @property
    def share(self) -> float:
        """The part that is done, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    def report(self, done: int, total: int | None = None) -> None:
        """Count progress; raises Stopped if the result is no longer wanted."""
        self.done, self.total = self.done + done, total or self.total
        now = time.monotonic()
        if self.cancelled or now - self.wanted > limits.WANTED:
            raise Stopped
        if now - self.began > limits.SECONDS:
            raise ValueError(f"the computation was stopped after {limits.SECONDS} seconds; choose smaller settings")


class Queue:
    """Jobs in the order of their arrival, for a few threads.

    Parameters
    ----------
    workers : int
        Threads.
    most : int
        Waiting jobs.
    """

    def __init__(self, workers: int = limits.WORKERS, most: int = limits.WAITING) -> None:
        self._jobs: deque[Job] = deque()
        self._most, self._changed = most, threading.Condition()
        for number in range(workers):
            threading.Thread(target=self._work, name=f"actmaps-{number}", daemon=True).start()

    def submit(self, job: Job) -> Job:
        """Add a job; Full if too many are waiting."""
        with self._changed:
            self._drop_unwanted()
            if len(self._jobs) >= self._most:
                raise Full(f"{self._most} computations of other visitors are waiting; try again in a moment")
            self._jobs.append(job)
            self._changed.notify()
        return job

    def position(self, job: Job) -> int:
        """How many jobs are ahead of a waiting one."""
        with self._changed:
            return self._jobs.index(job) if job in self._jobs else 0

    def stop(self, job: Job) -> None:
        """Stop a job: at once if it waits, otherwise where it next reports."""
        with self._changed:
            job.cancelled = True
            if job in self._jobs:
                self._jobs.remove(job)
                job.state = "stopped"

    def _drop_unwanted(self) -> None:
        now = time.monotonic()
        for job in [job for job in self._jobs if now - job.wanted > limits.WANTED]:
            self._jobs.remove(job)
            job.state = "stopped"

    def _work(self) -> None:
        while True:
            with self._changed:
                self._drop_unwanted()
                while not self._jobs:
                    self._changed.wait()
                job = self._jobs.popleft()
                job.state, job.began = "running", time.monotonic()
            run(job)


def run(job: Job) -> Job:
    """Run a job in this thread."""
    job.state, job.began = "running", time.monotonic()
    try:
        job.result = job.function(job)
        state: State = "done"
    except Stopped:
        state = "stopped"
    except (ValueError, TypeError, OSError, ImportError) as error:
        job.error, state = " ".join(str(error).split()), "failed"
    except MemoryError:
        job.error, state = "there is not enough memory for this", "failed"
    except Exception as error:  # a worker outlives any computation, and says what went wrong
        job.error, state = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", "failed"
    job.seconds = time.monotonic() - job.began
    job.state = state
    return job
