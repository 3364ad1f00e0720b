"""TensorBoard's event files, written with what TensorFlow alone brings: pictures, histograms and numbers."""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

try:
    import tensorflow as tf
except ImportError as error:
    raise ImportError(
        "tensorboard=DIR writes its files through TensorFlow, which is not installed: pip install tensorflow"
    ) from error

Event, Summary = tf.compat.v1.Event, tf.compat.v1.Summary
BINS = 30
SIZE = slice(16, 24)  # of a PNG: its width and height, 4 bytes each


class Events:
    """One event file in a folder, begun with the first turn; what each turn adds can be read at once."""

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self._file = None

    def add(self, step: int, pictures: Mapping[str, bytes], values: Mapping, numbers: Mapping[str, float]) -> None:
        """A step's PNGs, the histograms of its arrays, and its numbers, by their tags."""
        parts = [Summary.Value(tag=tag, image=_image(png)) for tag, png in pictures.items()]
        parts += [Summary.Value(tag=tag, histo=_histogram(array)) for tag, array in values.items()]
        parts += [Summary.Value(tag=tag, simple_value=number) for tag, number in numbers.items()]
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
            self._file = tf.io.TFRecordWriter(str(self.folder / name))
            self._write(file_version="brain.Event:2")
        self._write(step=step, summary=Summary(value=parts))
        self._file.flush()

    def close(self) -> None:
        """No more turns."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, **content) -> None:
        self._file.write(Event(wall_time=time.time(), **content).SerializeToString())


def _image(png: bytes):
    width, height = np.frombuffer(png[SIZE], ">u4")
    return Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)


def _histogram(values: np.ndarray):
    values = values.astype("float64").ravel()
    counts, edges = np.histogram(values, BINS)
    return tf.compat.v1.HistogramProto(
        min=values.min(), max=values.max(), num=values.size, sum=values.sum(), sum_squares=(values**2).sum(),
        bucket_limit=edges[1:], bucket=counts,
    )  # fmt: skip
