"""A stream is read once, numbered, and kept beside the run as memory maps until the run is finished."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_actmaps.bulk.files import STREAM
from keras_actmaps.bulk.source import ArraySource, Row
from keras_actmaps.bulk.store import FolderStore, temporary_suffix
from keras_actmaps.core.batching import iterate_batches
from keras_actmaps.core.types import Array


class StreamSource:
    """The rows of a stream, from files in the folder of a run."""

    def __init__(self, folder: Path, index: dict[str, Any]):
        self.folder, self.index = folder, index

    def __len__(self) -> int:
        return self.index["count"]

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        parts = [
            np.memmap(self.folder / name, part["dtype"], "r", shape=(len(self), *part["shape"]))
            for name, part in self.index["files"].items()
        ]
        labels = parts.pop() if self.index["labeled"] else None
        inputs = keras.tree.pack_sequence_as(_structure(self.index["keys"], len(parts)), parts)
        return ArraySource(inputs, labels).rows(start, stop)

    def fingerprint(self) -> str:
        return self.index["sha256"]


def spool(stream: Iterable, store: FolderStore, rank: int | None) -> StreamSource:
    """Read a stream once into files; its fingerprint is the hash of all its bytes.

    Raises
    ------
    ValueError
        For an empty stream, for elements of several shapes, and for lists of several inputs, which have no names.
    """
    store.path.mkdir(parents=True, exist_ok=True)
    suffix = temporary_suffix()
    try:
        index, files = _write(stream, store, rank, suffix)
        for path in files:
            path.replace(store.path / path.name.removesuffix(suffix))
    finally:
        for path in store.path.glob(f"stream-*{suffix}"):
            path.unlink(missing_ok=True)
    store.commit(STREAM, json.dumps(index).encode())
    return StreamSource(store.path, index)


def remove_spool(store: FolderStore) -> None:
    """Remove the files of a stream."""
    for path in (*store.path.glob("stream-*.bin"), store.path / STREAM):
        path.unlink(missing_ok=True)


def _write(stream: Iterable, store: FolderStore, rank: int | None, suffix: str) -> tuple[dict[str, Any], list[Path]]:
    """The index of a stream, and its temporary files."""
    found, hashed, count = None, hashlib.sha256(), 0
    paths: list[Path] = []
    files: list[Any] = []
    try:
        for inputs, labels, _ in iterate_batches(stream, rank, 32):
            if isinstance(inputs, (list, tuple)):
                raise ValueError("a stream with a list of several inputs has no names; pass dicts of arrays")
            arrays = [*keras.tree.flatten(inputs), *([] if labels is None else [labels])]
            about = [(list(array.shape[1:]), array.dtype.str) for array in arrays]
            if found is None:
                found = about
                keys = sorted(inputs) if isinstance(inputs, dict) else None
                paths = [store.path / f"stream-{i}.bin{suffix}" for i in range(len(arrays))]
                files = [path.open("wb") for path in paths]
                hashed.update(json.dumps([found, keys]).encode())
            if about != found:
                raise ValueError(f"the stream has elements of several shapes or types: {found} and {about}")
            _append(files, arrays, hashed)
            count += len(arrays[0])
        for file in files:
            file.flush()
            os.fsync(file.fileno())
    finally:
        for file in files:
            file.close()
    if found is None:
        raise ValueError("the dataset has no inputs")
    names = {f"stream-{i}.bin": {"shape": shape, "dtype": dtype} for i, (shape, dtype) in enumerate(found)}
    labeled = len(found) > (len(keys) if keys else 1)
    return {"count": count, "files": names, "keys": keys, "labeled": labeled, "sha256": hashed.hexdigest()}, paths


def _append(files: list[Any], arrays: list[Array], hashed: Any) -> None:
    for row in range(len(arrays[0])):  # by row, so that the hash does not depend on the batches
        for array in arrays:
            hashed.update(np.ascontiguousarray(array[row]).tobytes())
    for file, array in zip(files, arrays):
        file.write(np.ascontiguousarray(array).tobytes())


def _structure(keys: list[str] | None, count: int) -> Any:
    return dict.fromkeys(keys, 0) if keys else 0
