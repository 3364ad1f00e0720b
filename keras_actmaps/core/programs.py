"""Programs: compiled functions under a key, the most recently used of them."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

MAX_PROGRAMS = 64


class Programs:
    """A bounded cache of compiled functions, which several threads may use at once.

    The least recently used program is dropped where there are more than MAX_PROGRAMS, so that new keys, as of functions
    as targets, do not fill the memory.
    """

    def __init__(self) -> None:
        self._programs: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._dropped_traces = 0

    def __len__(self) -> int:
        return len(self._programs)

    @property
    def traces(self) -> int:
        """How often anything was compiled."""
        return self._dropped_traces + sum(program.traces for program in list(self._programs.values()))

    def get(self, key: Any, compile_program: Callable[[], Any]) -> Any:
        """The program under `key`, compiled where there is none."""
        with self._lock:
            if key not in self._programs:
                self._programs[key] = compile_program()
                if len(self._programs) > MAX_PROGRAMS:
                    self._dropped_traces += self._programs.popitem(last=False)[1].traces
            self._programs.move_to_end(key)
            return self._programs[key]
