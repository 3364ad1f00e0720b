"""The driver: it gives tasks to the workers of an engine until every shard of a run is written."""

import random
from collections.abc import Sequence

from keras_actmaps.bulk.engine import Engine, Event
from keras_actmaps.bulk.files import SHARD, shard_name
from keras_actmaps.bulk.job import Job, Task
from keras_actmaps.bulk.progress import Progress
from keras_actmaps.bulk.schedule import Schedule
from keras_actmaps.bulk.store import Store

TICK = 1.0  # seconds


class DiskFull(OSError):
    """There is no space left for a shard."""


def missing_shards(job: Job, store: Store) -> list[int]:
    """The shards that are not yet written, in order."""
    written = {int(found[1]) for name in store.names() if (found := SHARD.fullmatch(name))}
    return [number for number in range(job.shards) if number not in written]


def in_order(numbers: Sequence[int], others: int) -> list[int]:
    """The order of work: a second driver starts at the end, so that the two meet once; further ones at random."""
    if others < 2:
        return list(numbers) if not others else list(reversed(numbers))
    return random.sample(numbers, len(numbers))


def drive(job: Job, store: Store, engine: Engine, numbers: Sequence[int], progress: Progress) -> None:
    """Run the shards with these numbers.

    Raises
    ------
    DiskFull
        If there is no space left.
    ValueError
        For what only a worker finds wrong with the arguments.
    RuntimeError
        For a shard or an engine that fails again and again.
    """
    schedule = Schedule(job, numbers)
    idle: set[int] = set()
    at_work: dict[int, Task] = {}
    while at_work or not schedule.is_empty:
        while idle and (task := _next(schedule, store)) is not None:
            worker = idle.pop()
            at_work[worker] = task
            engine.submit(worker, task)
        if not at_work and schedule.is_empty:
            return
        for event in engine.events(TICK):
            if event.kind == "ready" or (event.kind == "end" and event.value.kind != "lost"):
                idle.add(event.worker)
            _handle(event, at_work, schedule, job, store, progress)
        progress.save()


def _next(schedule: Schedule, store: Store) -> Task | None:
    """The next task, without shards that another driver has written meanwhile."""
    while (task := schedule.next()) is not None:
        if task.rows is not None or not store.has(shard_name(task.number)):
            return task
    return None


def _handle(
    event: Event, at_work: dict[int, Task], schedule: Schedule, job: Job, store: Store, progress: Progress
) -> None:
    """Take note of what a worker reports."""
    if event.kind == "rows":
        progress.rows(event.worker, event.value)
    elif event.kind == "say":
        progress.say(event.value)
    elif event.kind == "end":
        task, outcome = at_work.pop(event.worker), event.value
        is_written = task.rows is None and (outcome.kind == "done" or store.has(shard_name(task.number)))
        start, stop = job.range_of(task.number)
        progress.end(event.worker, stop - start if is_written else 0, task.number, outcome.result)
        if outcome.kind == "done" or is_written:
            schedule.done(task)
        elif outcome.kind == "full":
            raise DiskFull(outcome.text)
        elif outcome.kind == "refused":
            raise ValueError(outcome.text)
        else:
            where = f"shard {task.number}" if task.rows is None else f"images {task.rows[0]} to {task.rows[1] - 1}"
            progress.say(f"{where}: the worker {outcome.text}; {schedule.lost(task, outcome.text)}")
