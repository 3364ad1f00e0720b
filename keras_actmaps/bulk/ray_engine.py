"""The engine "ray": a pool of actors on a Ray cluster. Ray runs tasks; which shards are done, the files alone say.

Ray Data is not used: its checkpoints repeat rows of a source in memory, and its own names of files are no commit.
"""

import logging
import pickle
from typing import Any

import ray
from ray.exceptions import RayError

from keras_actmaps.bulk.engine import Event
from keras_actmaps.bulk.job import Job, Task
from keras_actmaps.bulk.processes import THREADS, cores, dumps
from keras_actmaps.bulk.worker import Outcome, perform

STARTS = 5  # actors in the place of one that die before they are ready


class Worker:
    """An actor with one model."""

    def __init__(self, content: bytes):
        self._content = content
        self._job: Job | None = None

    def ready(self) -> str:
        """Say that the cluster has found a place for the actor."""
        return "ready"

    def run(self, task: Task) -> tuple[Outcome, list[str]]:
        """Run a task; returns its outcome and what is to be said."""
        if self._job is None:
            try:
                self._job = pickle.loads(self._content)
            except Exception as error:
                text = " ".join(str(error).split())
                return Outcome("refused", f"a worker cannot load the model or the source: {text}"), []
        said: list[str] = []
        return perform(self._job, task, lambda rows: None, said.append), said


class RayEngine:
    """A pool of actors, with a GPU each where the cluster has any; an actor that dies is replaced."""

    def __init__(self, job: Job, workers: int):
        if not ray.is_initialized():
            ray.init(logging_level=logging.WARNING, log_to_driver=False)
        self._content = ray.put(dumps(job))
        total = ray.cluster_resources()
        has_gpus = total.get("GPU", 0) > 0
        share = max(1, int(min(total.get("CPU", 1), cores() * max(1, len(ray.nodes()))) // workers))
        threads = {name: str(share) for name in THREADS}
        self._actor_class = ray.remote(Worker).options(
            num_cpus=0 if has_gpus else share,
            num_gpus=1 if has_gpus else 0,
            runtime_env={"env_vars": threads},
            scheduling_strategy="SPREAD",
        )
        self._running: dict[Any, int] = {}  # reference of a call -> worker
        self._actors: list[Any] = [None] * workers
        self._has_task = [False] * workers
        self._lost = [0] * workers  # in a row
        for worker in range(workers):
            self._start(worker)

    def _start(self, worker: int) -> None:
        """Start an actor, which waits until the cluster has a place for it; others work meanwhile."""
        self._actors[worker] = self._actor_class.remote(self._content)
        self._running[self._actors[worker].ready.remote()] = worker

    def submit(self, worker: int, task: Task) -> None:
        """Start a task on an idle actor."""
        self._has_task[worker] = True
        self._running[self._actors[worker].run.remote(task)] = worker

    def events(self, timeout: float) -> list[Event]:
        """What has happened; waits at most so many seconds for something."""
        ready, _ = ray.wait(list(self._running), num_returns=1, timeout=timeout)
        found: list[Event] = []
        for reference in ready:
            worker = self._running.pop(reference)
            had_task, self._has_task[worker] = self._has_task[worker], False
            try:
                result = ray.get(reference)
            except RayError as error:  # the actor, its node or the job's bytes are lost
                reason = " ".join(str(error).split())[:200]
                self._replace(worker, reason)
                result = Outcome("lost", f"has died ({reason})"), []
            if not had_task:  # the actor is ready, or died before it was
                found += [Event(worker, "ready")] if result == "ready" else []
                continue
            outcome, said = result
            self._lost[worker] = self._lost[worker] if outcome.kind == "lost" else 0
            found += [Event(worker, "say", text) for text in said]
            found.append(Event(worker, "end", outcome))
        return found

    def _replace(self, worker: int, reason: str) -> None:
        """Start another actor in the place of one that has died."""
        self._lost[worker] += 1
        if self._lost[worker] > STARTS:
            raise RuntimeError(f"the actors of Ray die again and again: {reason}")
        ray.kill(self._actors[worker])
        self._start(worker)

    def close(self) -> None:
        """End all actors; the shards at hand are dropped. Ray itself is left running."""
        for actor in self._actors:
            ray.kill(actor)
