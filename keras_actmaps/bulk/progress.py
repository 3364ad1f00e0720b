"""The progress of a run: a bar, a log, and a file that `status` reads from another terminal."""

import json
import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from keras_actmaps.bulk.batches import WARNING
from keras_actmaps.bulk.files import LOG
from keras_actmaps.bulk.job import Job
from keras_actmaps.bulk.status import line
from keras_actmaps.bulk.store import FolderStore, Store, host

log = logging.getLogger("keras_actmaps.bulk")
EVERY = 5.0  # seconds between two versions of the file
LOGGED = 60.0  # seconds between two lines of the log


class Progress:
    """What one driver knows of a run.

    Attributes
    ----------
    done : int
        Rows in finished shards, those of earlier drivers included.
    results : dict
        Of the shards that this driver's workers have written: seconds, SHA-256 and errors.
    """

    def __init__(self, job: Job, store: Store, done: int, report: Callable[[int, int | None], None]):
        self._job, self._store, self._report = job, store, report
        self._total, self.done, self._before = len(job.source), done, done
        self._at_hand: dict[int, int] = {}  # rows of the task at hand, by worker
        self._shown = 0
        self._said: set[str] = set()
        self._started = self._saved = self._logged = time.time()
        self.results: dict[int, dict[str, Any]] = {}
        self._name = f"progress.{host()}.{os.getpid()}.json"
        self._show()

    def rows(self, worker: int, count: int) -> None:
        """A worker has explained rows of its task."""
        self._at_hand[worker] = self._at_hand.get(worker, 0) + count
        self._show()

    def end(self, worker: int, finished: int, number: int, result: dict[str, Any]) -> None:
        """A task has ended; `finished`: rows of the shard if it is written, else 0."""
        self._at_hand.pop(worker, None)
        self.done += finished
        if finished:
            self.results[number] = result
        self._show()

    def say(self, text: str) -> None:
        """A sentence for the user, in the log; of warnings that differ in numbers only, the first."""
        kind = re.sub(r"\d+", "", text)
        if text.startswith(WARNING) and kind in self._said:
            return
        self._said.add(kind)
        log.warning("%s", text)

    def save(self, every: float = EVERY) -> None:
        """Write the file for `status`, if it is old; a full disk is not reported here."""
        now = time.time()
        if now - self._saved < every:
            return
        self._saved = now
        content = {**self.state(), "time": now, "seconds": {n: r.get("seconds") for n, r in self.results.items()}}
        with suppress(OSError):
            self._store.commit(self._name, json.dumps(content).encode())
        if now - self._logged >= LOGGED:
            self._logged = now
            log.info("%s", line(self.state()))

    def state(self) -> dict[str, Any]:
        """Rows done and to do, the rate of this driver, and the failed images of its shards."""
        now = self._now()
        seconds = max(1e-9, time.time() - self._started)
        failed = sum(len(result.get("errors", {})) for result in self.results.values())
        return {"done": now, "total": self._total, "rate": (now - self._before) / seconds, "errors": failed}

    def remove(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            self._store.remove(self._name)

    def _now(self) -> int:
        at_hand = sum(min(rows, self._job.shard) for rows in self._at_hand.values())
        return min(self._total, self.done + at_hand)

    def _show(self) -> None:
        """Move the bar, which never goes back."""
        now = self._now()
        if now > self._shown or not self._shown:
            self._report(now - self._shown, self._total)
            self._shown = now


class LogFile(logging.FileHandler):
    """The log of a run in its folder; a full disk ends the log, not the run."""

    def __init__(self, store: FolderStore):
        super().__init__(store.path / LOG, encoding="utf-8", delay=True)
        self.setFormatter(logging.Formatter("%(asctime)s %(process)d %(message)s"))

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing: the driver reports a full disk in its own words."""
