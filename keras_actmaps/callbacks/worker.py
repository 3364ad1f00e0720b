"""Behind: a thread that does one thing after another while its caller goes on."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

MOST = 4  # that may wait, so that a slow work holds up its caller and not fill the memory


class Worker:
    """`work(item)` in a thread, in order. `seconds` is what it has taken; `errors` are those it has met, in words."""

    def __init__(self, work: Callable):
        self.seconds, self.errors = 0.0, []
        self._work, self._waiting, self._thread = work, deque(), ThreadPoolExecutor(1)

    def hand(self, item) -> None:
        """One more item; waits where too many are waiting."""
        while len(self._waiting) >= MOST:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._do, item))

    def wait(self) -> None:
        """Until all is done."""
        while self._waiting:
            self._waiting.popleft().result()

    def finish(self) -> None:
        """Wait, and let the thread go."""
        self._thread.shutdown()

    def _do(self, item) -> None:
        started = time.perf_counter()
        try:
            self._work(item)
        except Exception as error:  # whatever it is, the caller goes on
            self.errors.append(error_line(error))
        self.seconds += time.perf_counter() - started


def error_line(error: Exception) -> str:
    """An error as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
