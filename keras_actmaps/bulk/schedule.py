"""Which task comes next: shards in order, a lost shard again, and the search for an image that crashes its worker."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import replace

from keras_actmaps.bulk.job import Job, Task

TRIES = 3  # of a shard, and of a part of it, before it is halved


class Schedule:
    """The tasks of a run that are still to be done.

    A task that is lost TRIES times is tried in halves, which write nothing, until single images are found that crash
    their worker. These are then left out.
    """

    def __init__(self, job: Job, numbers: Iterable[int]):
        self._job = job
        self._tasks = deque(Task(number) for number in numbers)
        self._losses: Counter[tuple] = Counter()
        self._open: Counter[int] = Counter()  # parts to try, by shard
        self._skip: dict[int, dict[int, str]] = {}  # images left out, by shard; of searched shards

    @property
    def is_empty(self) -> bool:
        """Whether there is no task at the moment."""
        return not self._tasks

    def next(self) -> Task | None:
        """A task, or None if there is none at the moment."""
        return self._tasks.popleft() if self._tasks else None

    def done(self, task: Task) -> None:
        """A task is finished."""
        if task.rows is not None:
            self._end_part(task)

    def lost(self, task: Task, reason: str) -> str:
        """A task has crashed its worker, or failed; returns what happens next, in words.

        Raises RuntimeError for a shard that crashes although none of its images does alone.
        """
        self._losses[task.number, task.rows, task.halvings] += 1
        start, stop = task.rows or self._job.range_of(task.number)
        if self._losses[task.number, task.rows, task.halvings] < TRIES:
            self._tasks.appendleft(task)
            return "tried again"
        if stop - start == 1:
            self._skip.setdefault(task.number, {})[start] = f"crashes the worker: {reason}"
            if task.rows is None:
                self._tasks.appendleft(replace(task, skip=self._skip[task.number]))
            else:
                self._end_part(task)
            return f"image {start} is left out"
        if task.rows is None and task.number in self._skip:
            raise RuntimeError(
                f"shard {task.number} crashes its worker, although none of its images does alone: {reason}"
            )
        self._skip.setdefault(task.number, {})
        middle = (start + stop) // 2
        self._open[task.number] += 2
        self._tasks.extendleft(replace(task, rows=rows) for rows in ((middle, stop), (start, middle)))
        if task.rows is not None:
            self._end_part(task)
        return "tried in halves"

    def _end_part(self, task: Task) -> None:
        """A part of a shard is finished; after the last one, the shard is done without the images that crash."""
        self._open[task.number] -= 1
        if not self._open[task.number]:
            skip = self._skip[task.number]
            self._tasks.appendleft(Task(task.number, skip=skip, halvings=0 if skip else 1))
