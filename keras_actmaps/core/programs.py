"""Programs: a bounded cache of compiled functions."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

MAX_PROGRAMS = 64


class Programs:
    """A thread-safe cache of at most MAX_PROGRAMS compiled functions.

    The least recently used program is dropped first. The limit matters where every call has a new key, as with a new
    function as target.
    """

    def __init__(self) -> None:
        self._programs: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._dropped_traces = 0

    def __len__(self) -> int:
        return len(self._programs)

    @property
    def traces(self) -> int:
        """The number of compilations, dropped programs included."""
        return self._dropped_traces + sum(program.traces for program in list(self._programs.values()))

    def get(self, key: Any, compile_program: Callable[[], Any]) -> Any:
        """The program for `key`, compiled if it is not in the cache."""
        with self._lock:
            if key not in self._programs:
                self._programs[key] = compile_program()
                if len(self._programs) > MAX_PROGRAMS:
                    self._dropped_traces += self._programs.popitem(last=False)[1].traces
            self._programs.move_to_end(key)
            return self._programs[key]
