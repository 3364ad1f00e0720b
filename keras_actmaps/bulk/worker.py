"""What a worker does, whichever engine runs it: one task at a time, with an outcome that the driver decides on."""

import errno
import hashlib
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from keras_actmaps.bulk.batches import explain_rows
from keras_actmaps.bulk.files import shard_name
from keras_actmaps.bulk.job import Job, Task
from keras_actmaps.bulk.shard import to_bytes
from keras_actmaps.bulk.store import open_store

FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_MEMORY = re.compile(r"RESOURCE_EXHAUSTED|ResourceExhausted|out of memory|OutOfMemory", re.IGNORECASE)


class Outcome(NamedTuple):
    """How a task ended.

    Attributes
    ----------
    kind : str
        "done"; "refused" for what the user can mend, "full" for a disk without space, both of which end the run;
        "failed" for any other exception, and "lost" for a worker that has died.
    text : str
        The reason; empty for "done".
    result : dict
        For "done", of a shard that was written: its seconds, sha256 and errors.
    """

    kind: str
    text: str = ""
    result: dict[str, Any] = {}  # noqa: RUF012  # never written to


def perform(job: Job, task: Task, report: Callable[[int], None], say: Callable[[str], None]) -> Outcome:
    """Run a task.

    Parameters
    ----------
    report : callable
        `report(rows)` is called as rows are explained.
    say : callable
        Called with a sentence for the user.
    """
    try:
        return Outcome("done", result=run_task(job, task, report, say))
    except OSError as error:
        if is_full(error):
            return Outcome("full", str(error.strerror))
        return Outcome("refused", " ".join(str(error).split()))
    except ValueError as error:
        return Outcome("refused", " ".join(str(error).split()))
    except Exception as error:  # each framework has its own types
        return Outcome("failed", f"{type(error).__name__}: {' '.join(str(error).split())[:500]}")


def run_task(job: Job, task: Task, report: Callable[[int], None], say: Callable[[str], None]) -> dict[str, Any]:
    """Explain the rows of a task and commit the shard; raises OSError if that fails, ValueError for invalid arguments.

    Where memory does not suffice, the batch is halved and the task started again.
    """
    started = time.perf_counter()
    start, stop = task.rows or job.range_of(task.number)
    halvings = task.halvings
    while True:
        size = max(1, job.batch_size >> halvings)
        try:
            part, about = explain_rows(job, start, stop, task.skip, size, report, say)
            break
        except Exception as error:  # each framework has its own type
            if not is_out_of_memory(error) or size == 1:
                raise
        halvings += 1
        say(f"shard {task.number}: out of memory with batches of {size}; continued with {size // 2}")
    if task.rows is not None:
        return {}
    computed = time.perf_counter()
    content = to_bytes(part, start, about)
    open_store(job.place).commit(shard_name(task.number), content)
    now = time.perf_counter()
    return {
        "seconds": now - started,
        "writing": now - computed,
        "sha256": hashlib.sha256(content).hexdigest(),
        "errors": part.errors,
    }


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a framework has run out of memory."""
    return isinstance(error, MemoryError) or bool(_NO_MEMORY.search(f"{type(error).__name__} {error}"[:2000]))


def is_full(error: BaseException) -> bool:
    """Whether a file could not be written because there is no space left."""
    return isinstance(error, OSError) and error.errno in FULL
