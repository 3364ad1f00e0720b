"""Schedule: after which epochs or batches of a fit the images are explained."""

import re
from dataclasses import dataclass
from typing import Literal

from keras_actmaps.core.settings import show

_PATTERN = re.compile(r"(\d+) ?(epoch|batch)(?:es|s)?")
Unit = Literal["epoch", "batch"]


@dataclass(frozen=True)
class Schedule:
    """Every `interval` epochs or batches."""

    interval: int
    unit: Unit

    def includes(self, before: int, after: int) -> bool:
        """Whether the interval ends between two numbers of epochs or batches."""
        return after // self.interval > before // self.interval


def parse_schedule(every: int | str) -> Schedule:
    """The schedule for 3, "3 epochs" or "100 batches"; ValueError for anything else."""
    text = every if isinstance(every, str) else f"{every} epochs"
    found = _PATTERN.fullmatch(text)
    if found is None or isinstance(every, bool) or int(found[1]) < 1:
        raise ValueError(f"every must be a positive integer, 'N epochs' or 'N batches', got {show(every)}")
    return Schedule(int(found[1]), "epoch" if found[2] == "epoch" else "batch")
