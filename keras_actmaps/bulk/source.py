"""Sources: images with a fixed order and a length, of which any range can be read, in any process.

A row is (inputs, label or None), or the exception that reading it raised.
"""

import hashlib
import mmap
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import keras
import numpy as np

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.types import Array

Row: TypeAlias = "tuple[Any, Any] | Exception"
HASHED = 1 << 30  # bytes of an array that are hashed as a whole; of a larger one, SAMPLED rows
SAMPLED = 1024


class Source(Protocol):
    """What `explain_all` reads from. It is pickled for the workers."""

    def __len__(self) -> int:
        """The number of rows."""

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        """The rows from `start` to `stop`, in order."""

    def fingerprint(self) -> str:
        """A text that differs for other rows or another order."""


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Arrays or memory maps (N, ...), or a dict or list of them, and labels (N, ...) or None."""

    inputs: Any
    labels: Any = None

    def __len__(self) -> int:
        return len(keras.tree.flatten(self.inputs)[0])

    def __getstate__(self) -> dict[str, Any]:
        return {"inputs": keras.tree.map_structure(_by_file, self.inputs), "labels": _by_file(self.labels)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        object.__setattr__(self, "inputs", keras.tree.map_structure(_from_file, state["inputs"]))
        object.__setattr__(self, "labels", _from_file(state["labels"]))

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        for index in range(start, stop):
            if isinstance(self.inputs, np.ndarray):
                inputs = np.asarray(self.inputs[index])
            else:
                inputs = keras.tree.map_structure(lambda array, row=index: np.asarray(array[row]), self.inputs)
            yield inputs, None if self.labels is None else self.labels[index]

    def fingerprint(self) -> str:
        parts = [*keras.tree.flatten(self.inputs), *([] if self.labels is None else [self.labels])]
        return digest(*map(array_digest, parts))


@dataclass(frozen=True)
class FileArray:
    """A memory map, as it is sent to another process: by its file."""

    path: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


def _by_file(array: Any) -> Any:
    """A memory map by its file; anything else unchanged, and views of a memory map, whose place is not known."""
    is_whole = isinstance(array, np.memmap) and array.filename is not None and isinstance(array.base, mmap.mmap)
    if not is_whole or not array.flags.c_contiguous:
        return array
    return FileArray(os.fspath(array.filename), array.dtype.str, array.shape, array.offset)


def _from_file(array: Any) -> Any:
    if not isinstance(array, FileArray):
        return array
    return np.memmap(array.path, array.dtype, "r", array.offset, array.shape)


@dataclass(frozen=True, eq=False)
class IndexedSource:
    """Anything with a length and access by number, such as a Hugging Face data set or a torch Dataset.

    An item is an image, (image, label), or a mapping with "image" (or "img", "pixel_values") and perhaps "label".

    Attributes
    ----------
    items : object
    encode_picture : callable
        From the pixels of a PIL image to an input of the model.
    encode_array : callable or None
        The same of an array or a tensor; None takes it as it is.
    """

    items: Any
    encode_picture: Callable[[Array], Any]
    encode_array: Callable[[Any], Any] | None = None

    def __len__(self) -> int:
        return len(self.items)

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        for index in range(start, stop):
            yield attempt(self._row, index)

    def _row(self, index: int) -> tuple[Any, Any]:
        image, label = image_and_label(self.items[index])
        if hasattr(image, "getbands"):  # of PIL
            return self.encode_picture(picture_pixels(image)), label
        array = to_numpy(image)
        return array if self.encode_array is None else to_numpy(self.encode_array(array)), label

    def fingerprint(self) -> str:
        known = getattr(self.items, "_fingerprint", None)  # of a Hugging Face data set
        if known:
            return digest("huggingface", known, str(len(self)))
        return digest(type(self.items).__qualname__, str(len(self)), *_sampled_digests(self, 16))


@dataclass(frozen=True, eq=False)
class PyDatasetSource:
    """A `keras.utils.PyDataset`, whose batches all have one size but the last."""

    dataset: Any
    count: int
    size: int

    def __len__(self) -> int:
        return self.count

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        while start < stop:
            number, first = divmod(start, self.size)
            last = min(self.size, first + stop - start)
            try:
                inputs, labels = _inputs_and_labels(self.dataset[number])
                batch = ArraySource(keras.tree.map_structure(to_numpy, inputs), labels)
                yield from batch.rows(first, last)
            except Exception as error:  # whatever the user's code raises
                yield from [error] * (last - first)
            start += last - first

    def fingerprint(self) -> str:
        return digest(type(self.dataset).__qualname__, str(self.count), str(self.size), *_sampled_digests(self, 8))


def py_dataset_source(dataset: Any) -> PyDatasetSource:
    """The source of a PyDataset; ValueError for one without length or batches."""
    batches = dataset.num_batches
    if not batches:
        raise ValueError("the PyDataset has no batches, or does not say how many")
    first, last = (len(keras.tree.flatten(_inputs_and_labels(dataset[i])[0])[0]) for i in (0, batches - 1))
    return PyDatasetSource(dataset, first * (batches - 1) + last, first)


def attempt(read: Callable[[int], tuple[Any, Any]], index: int) -> Row:
    """A row, or the exception that reading it raises."""
    try:
        return read(index)
    except MemoryError:
        raise
    except Exception as error:  # decoders raise many types for damaged files
        return error


def image_and_label(item: Any) -> tuple[Any, Any]:
    """The image and the label of an item of a data set; ValueError for a mapping without an image."""
    if isinstance(item, Mapping):
        for key in ("image", "img", "pixel_values"):
            if key in item:
                return item[key], item.get("label", item.get("labels"))
        raise ValueError(f"an item has no 'image', 'img' or 'pixel_values', but {', '.join(map(str, item))}")
    if isinstance(item, (tuple, list)) and len(item) >= 2:
        return item[0], item[1]
    return (item[0] if isinstance(item, (tuple, list)) else item), None


def picture_pixels(image: Any) -> Array:
    """The pixels (H, W, 1 or 3) of a PIL image."""
    pixels = np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def digest(*parts: str) -> str:
    """The SHA-256 of texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def array_digest(array: Any) -> str:
    """The SHA-256 of an array's shape, type and bytes; of more than 1 GiB, of 1,024 rows throughout it."""
    whole = getattr(array, "nbytes", 0) <= HASHED
    values = np.asarray(to_numpy(array)) if whole else array
    found = hashlib.sha256(f"{tuple(values.shape)} {values.dtype}".encode())
    count = len(values) if values.ndim else 0
    rows: Sequence[int] | Array = np.unique(np.linspace(0, count - 1, SAMPLED).astype(int)) if not whole else []
    if values.dtype == object:
        found.update(repr(values.tolist()).encode())
    elif whole:
        found.update(np.ascontiguousarray(values).tobytes())
    for row in rows:
        found.update(np.ascontiguousarray(values[row]).tobytes())
    return found.hexdigest()


def row_digest(row: Row) -> str:
    """The SHA-256 of a row."""
    if isinstance(row, Exception):
        return digest(type(row).__name__)
    inputs, label = row
    parts = [array_digest(np.asarray(part)) for part in keras.tree.flatten(inputs)]
    return digest(*parts, *([] if label is None else [array_digest(np.asarray(label))]))


def _sampled_digests(source: Source, count: int) -> list[str]:
    """The digests of rows throughout a source."""
    indices = np.unique(np.linspace(0, len(source) - 1, count).astype(int)).tolist() if len(source) else []
    return [row_digest(next(iter(source.rows(index, index + 1)))) for index in indices]


def _inputs_and_labels(batch: Any) -> tuple[Any, Any]:
    if not isinstance(batch, tuple):
        return batch, None
    return batch[0], to_numpy(batch[1]) if len(batch) > 1 else None
