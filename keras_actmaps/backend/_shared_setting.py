"""A global setting of a framework, changed safely by several threads."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class SharedSetting:
    """Sets a process-wide value while it is in use and restores it after the last user.

    Threads with the same value run concurrently; a thread with another value waits for them.
    """

    def __init__(self, read: Callable[[], Any], write: Callable[[Any], None]):
        self._read, self._write = read, write
        self._condition = threading.Condition()
        self._users, self._value, self._before = 0, None, None

    @contextmanager
    def __call__(self, value: Any) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: self._users == 0 or self._value == value)
            if self._users == 0:
                self._before, self._value = self._read(), value
                self._write(value)
            self._users += 1
        try:
            yield
        finally:
            with self._condition:
                self._users -= 1
                if self._users == 0:
                    self._write(self._before)
                    self._condition.notify_all()
