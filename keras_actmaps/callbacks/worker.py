"""Worker: a thread that processes items in order while its caller continues."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

MAX_PENDING = 4  # items; limits memory if the work is slower than its caller


class Worker:
    """Call `work(item)` in a thread, one item after another.

    Attributes
    ----------
    seconds : float
        Time that the work has taken.
    errors : list of str
        The exceptions that the work has raised, each as one line.
    """

    def __init__(self, work: Callable[[Any], object]) -> None:
        self.seconds = 0.0
        self.errors: list[str] = []
        self._work = work
        self._pending: deque[Future] = deque()
        self._executor = ThreadPoolExecutor(1)

    def submit(self, item: Any) -> None:
        """Add an item; waits while MAX_PENDING items are pending."""
        while len(self._pending) >= MAX_PENDING:
            self._pending.popleft().result()
        self._pending.append(self._executor.submit(self._run, item))

    def wait(self) -> None:
        """Wait until all items are processed."""
        while self._pending:
            self._pending.popleft().result()

    def finish(self) -> None:
        """Wait until all items are processed and end the thread."""
        self._executor.shutdown()

    def _run(self, item: Any) -> None:
        started = time.perf_counter()
        try:
            self._work(item)
        except Exception as error:  # of any type: the caller continues
            self.errors.append(error_line(error))
        self.seconds += time.perf_counter() - started


def error_line(error: Exception) -> str:
    """An exception as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
