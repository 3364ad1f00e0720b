"""RunContext: how one computation is run. It is passed as an argument, not stored on the model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def ignore(*_: object, **__: object) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class RunContext:
    """Batch size, progress and the count of passes of one computation.

    Attributes
    ----------
    batch_size : int
        Maximum number of inputs in memory at a time.
    padded_size : int
        Number of original inputs in a compiled batch; at most `batch_size`.
    report : callable
        `report(done, total)` is called as inputs are processed; a total of None means unknown.
    count_passes : callable
        `count_passes(inputs)` is called with the number of inputs that the model, or the part behind its layer, was
        run on, padding excluded.
    resizes : bool
        Whether maps at a layer are resized to the inputs.
    report_facts : callable
        `report_facts(name=array)` is called with arrays (N,) that describe the maps, under their names in
        `Explanation`, such as the passes `samples` of each input by a method that stops at a tolerance.
    numbers : array of int, or None
        The numbers (N,) of these inputs among all that are explained, by which warnings name them.
    """

    batch_size: int = 32
    padded_size: int = 32
    report: Callable[[int, int | None], None] = ignore
    count_passes: Callable[[int], None] = ignore
    report_facts: Callable[..., None] = ignore
    resizes: bool = True
    numbers: Any = None


class PassCounter:
    """Counts the inputs that a model was run on: `RunContext(count_passes=counter.add)`."""

    def __init__(self) -> None:
        self.total = 0

    def add(self, inputs: int) -> None:
        """Count inputs; a negative number takes back padding."""
        self.total += inputs
