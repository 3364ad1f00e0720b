"""EventWriter: images, histograms and scalars for TensorBoard, written with tensorboardX on any backend."""

import itertools
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from keras_actmaps.core.types import Array

try:
    from tensorboardX import summary
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary
except ImportError as error:
    raise ImportError(
        "files for TensorBoard are written with tensorboardX, which is not installed: "
        "pip install keras_actmaps[tensorboard]"
    ) from error

BINS = 30
_EMPTY: Mapping = MappingProxyType({})
_file_numbers = itertools.count()


class EventWriter:
    """One event file in a folder, created with the first step.

    Each step is on disk when `add` returns. tensorboardX's SummaryWriter is not used: it writes in a thread that ends
    silently where the disk is full, after which adding blocks.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = Path(folder)
        self._file: EventsWriter | None = None

    def add(
        self,
        step: int,
        images: Mapping[str, Array],
        histograms: Mapping[str, Array] = _EMPTY,
        scalars: Mapping[str, float] = _EMPTY,
    ) -> None:
        """Write the values of a step under their tags.

        Parameters
        ----------
        step : int
        images : mapping from str to uint8 array of shape (H, W) or (H, W, 3)
        histograms : mapping from str to array
            Values whose distribution is shown.
        scalars : mapping from str to float

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        values = [
            _tagged(tag, summary.image("image", image, dataformats="HWC"[: image.ndim]))
            for tag, image in images.items()
        ]
        values += [_tagged(tag, summary.histogram("histogram", array, BINS)) for tag, array in histograms.items()]
        values += [_tagged(tag, summary.scalar("scalar", number)) for tag, number in scalars.items()]
        file = self._open()
        file.write_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))
        file.flush()

    def close(self) -> None:
        """Close the file; a later step creates a new one."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def _open(self) -> Any:
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            unique = f".{os.getpid()}.{next(_file_numbers)}"  # tensorboardX's names differ only between seconds
            self._file = EventsWriter(str(self.folder / "events"), unique)
        return self._file


def _tagged(tag: str, message: Any) -> Any:
    """The single value of a summary with its tag set directly, because tensorboardX would replace spaces in it."""
    (value,) = message.value
    value.tag = tag
    return value
