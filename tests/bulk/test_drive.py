"""The driver with an engine of invented events: workers that die before they are ready, or stay away."""

from types import SimpleNamespace

import pytest

from keras_actmaps.bulk.drive import DiskFull, drive, in_order
from keras_actmaps.bulk.engine import Event
from keras_actmaps.bulk.worker import Outcome


class Files:
    """A store that remembers names."""

    def __init__(self):
        self.written = set()

    def has(self, name):
        return name in self.written


class Pool:
    """Workers 0 to N - 1, of which some never get ready; `fate(worker, task)` is the outcome of a task."""

    def __init__(self, workers, absent=(), fate=lambda worker, task: "done"):
        self.queue = [Event(worker, "ready") for worker in range(workers) if worker not in absent]
        self.fate, self.files, self.tasks = fate, Files(), []

    def submit(self, worker, task):
        assert worker not in [event.worker for event in self.queue if event.kind == "end"]
        self.tasks.append((worker, task))
        kind = self.fate(worker, task)
        if kind == "done" and task.rows is None:
            self.files.written.add(f"shard-{task.number:05d}.h5")
        self.queue.append(Event(worker, "end", Outcome(kind, "" if kind == "done" else "died")))
        if kind == "lost":
            self.queue.append(Event(worker, "ready"))

    def events(self, timeout):
        assert self.queue, "the driver waits for something that never happens"
        return [self.queue.pop(0)]


def run(pool, shards=6):
    job = SimpleNamespace(range_of=lambda number: (number * 4, number * 4 + 4))
    quiet = SimpleNamespace(end=lambda *_: None, say=lambda _: None, rows=lambda *_: None, save=lambda: None)
    drive(job, pool.files, pool, list(range(shards)), quiet)
    return pool.files.written


@pytest.mark.parametrize("absent", [(), (0,), (0, 2)])
def test_workers_that_never_get_ready_hold_nothing_up(absent):
    assert len(run(Pool(3, absent))) == 6


def test_a_worker_that_died_gets_no_task_before_it_is_ready_again():
    lost = iter([True, False, True] + [False] * 100)
    assert len(run(Pool(2, fate=lambda worker, task: "lost" if next(lost) else "done"))) == 6


def test_shards_that_another_driver_has_written_are_not_computed():
    pool = Pool(1)
    pool.files.written = {"shard-00002.h5", "shard-00005.h5"}
    run(pool)
    assert [task.number for _, task in pool.tasks] == [0, 1, 3, 4]


@pytest.mark.parametrize("kind, error", [("full", DiskFull), ("refused", ValueError)])
def test_what_the_user_can_mend_ends_the_run(kind, error):
    with pytest.raises(error, match="died"):
        run(Pool(1, fate=lambda worker, task: kind if task.number == 3 else "done"))


def test_a_second_driver_starts_at_the_end_and_a_third_anywhere():
    numbers = list(range(10))
    assert in_order(numbers, 0) == numbers
    assert in_order(numbers, 1) == numbers[::-1]
    assert sorted(in_order(numbers, 2)) == numbers
