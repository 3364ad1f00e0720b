"""A cache of the most recently used values."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

MAX_SHAPES = 16  # of each compiled function


class Recent:
    """A thread-safe cache of at most `limit` values; the least recently used one is dropped first."""

    def __init__(self, limit: int):
        self._limit = limit
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def values(self) -> list:
        """The values, the most recently used one last."""
        with self._lock:
            return list(self._values.values())

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value for `key`, made if it is not in the cache; one thread makes values at a time."""
        with self._lock:
            if key not in self._values:
                self._values[key] = make()
                if len(self._values) > self._limit:
                    self._values.popitem(last=False)
            self._values.move_to_end(key)
            return self._values[key]

    def replace(self, key: Hashable, old: Any, make: Callable[[], Any]) -> Any:
        """The value for `key`, made anew if it is still `old` or has been dropped."""
        with self._lock:
            if self._values.get(key) is old:
                del self._values[key]
        return self.get(key, make)
