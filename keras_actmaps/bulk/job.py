"""A job: what a worker needs to explain any shard; and tasks, what it does at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_actmaps.bulk.source import Source
from keras_actmaps.methods.request import MethodRequest


@dataclass(frozen=True, eq=False)
class Job:
    """A run, as it is sent to the workers.

    Attributes
    ----------
    model, method, layer, precision, xla
        As for `explain`.
    source : Source
    targets : None, int, str, callable or array
        As for `explain_dataset`, or an array with a row for each row of the source.
    request : MethodRequest
    place : str
        Of the store.
    shard : int
        Rows of a shard.
    example : tuple
        The first row of the source that can be read. It takes the place of rows that cannot, so that batches keep
        their shapes, and all inputs have its shape.
    batch_size : int
    """

    model: Any
    source: Source
    request: MethodRequest
    place: str
    shard: int
    example: tuple[Any, Any]
    targets: Any = None
    layer: Any = None
    batch_size: int = 32
    precision: str | None = None
    xla: bool | None = None

    @property
    def shards(self) -> int:
        """The number of shards."""
        return -(-len(self.source) // self.shard)

    def range_of(self, number: int) -> tuple[int, int]:
        """The first row of a shard, and the one after its last."""
        return number * self.shard, min(len(self.source), (number + 1) * self.shard)


@dataclass(frozen=True)
class Task:
    """What a worker does at a time.

    Attributes
    ----------
    number : int
        Of the shard.
    rows : tuple of int or None
        Only try these rows, start to stop, and write nothing; None is the whole shard, which is written.
    skip : dict
        Rows that are not explained, and why.
    halvings : int
        How often the batch is halved.
    """

    number: int
    rows: tuple[int, int] | None = None
    skip: Mapping[int, str] = field(default_factory=dict)
    halvings: int = 0
