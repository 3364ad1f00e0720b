"""What an engine is: a pool of workers that run tasks. It decides nothing; `drive` does. Also the simplest engine."""

from typing import Any, NamedTuple, Protocol

from keras_actmaps.bulk.job import Job, Task
from keras_actmaps.bulk.worker import perform


class Event(NamedTuple):
    """What a worker reports: "ready", "rows" (a number), "say" (a sentence) or "end" (the Outcome of its task)."""

    worker: int
    kind: str
    value: Any = None


class Engine(Protocol):
    """A pool of workers, numbered from 0. One that reports "ready" waits for a task."""

    def submit(self, worker: int, task: Task) -> None:
        """Start a task on an idle worker."""

    def events(self, timeout: float) -> list[Event]:
        """What has happened; waits at most so many seconds for something.

        A task ends with exactly one event "end", after which the worker waits for another. If it has died, the outcome
        is "lost", and the engine replaces it: the new one reports "ready".
        """

    def close(self) -> None:
        """End all workers; the shards at hand are dropped."""


class SerialEngine:
    """The engine "serial": tasks run in this process, for models and sources that cannot be sent to another."""

    def __init__(self, job: Job, workers: int):
        if workers != 1:
            raise ValueError(f"engine='serial' has one worker, got workers={workers}")
        self._job = job
        self._task: Task | None = None
        self._is_new = True

    def submit(self, worker: int, task: Task) -> None:
        """Keep the task for `events`."""
        self._task = task

    def events(self, timeout: float) -> list[Event]:
        """Run the task."""
        found: list[Event] = []
        if self._is_new:
            self._is_new = False
            return [Event(0, "ready")]
        if self._task is not None:
            outcome = perform(
                self._job,
                self._task,
                lambda rows: found.append(Event(0, "rows", rows)),
                lambda text: found.append(Event(0, "say", text)),
            )
            found.append(Event(0, "end", outcome))
            self._task = None
        return found

    def close(self) -> None:
        """Nothing is left to end."""
