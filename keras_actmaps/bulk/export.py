"""The maps of a run in the forms of other libraries."""

import importlib
import os
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from keras_actmaps.core.types import Array

CHUNK = 1024  # images that are held in memory


class StoredMaps(Protocol):
    """What is exported, see `Maps`."""

    @property
    def scores(self) -> Array: ...

    @property
    def targets(self) -> Array | None: ...

    @property
    def residual(self) -> Array | None: ...

    @property
    def errors(self) -> dict[int, str]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> Any: ...

    def arrays(self, rows: Any) -> dict[str, Array]:
        """The arrays of some rows, by name."""


def to_zarr(maps: StoredMaps, path: str | os.PathLike) -> Any:
    """Write maps (float32, as stored) and scalars as a Zarr group; returns the group. ImportError without zarr."""
    group = _module("zarr").open_group(os.fspath(path), mode="w")
    for name, first in maps.arrays(slice(0, 1)).items():
        array = group.create_array(
            name.replace("/", "."),
            shape=(len(maps), *first.shape[1:]),
            chunks=(min(len(maps), CHUNK) if first.ndim == 1 else 1, *first.shape[1:]),
            dtype=first.dtype,
        )
        for start in range(0, len(maps), CHUNK):
            rows = slice(start, min(len(maps), start + CHUNK))
            array[rows] = maps.arrays(rows)[name]
    return group


def to_parquet(maps: StoredMaps, path: str | os.PathLike) -> None:
    """Write the scalars of all images as a Parquet table: index, score, target, residual and error.

    Of several targets per image the columns are lists. ImportError without pyarrow.
    """
    arrow, parquet = _module("pyarrow"), _module("pyarrow.parquet")
    columns: dict[str, Any] = {"index": np.arange(len(maps)), "score": maps.scores}
    columns |= {} if maps.targets is None else {"target": maps.targets}
    columns |= {} if maps.residual is None else {"residual": maps.residual}
    errors = maps.errors
    table = {name: list(array) if array.ndim > 1 else array for name, array in columns.items()}
    table["error"] = arrow.array([errors.get(row) for row in range(len(maps))], type=arrow.string())
    parquet.write_table(arrow.table(table), os.fspath(path))


def to_torch(maps: StoredMaps) -> Any:
    """A `torch.utils.data.Dataset` of (map, score, target), for a DataLoader with any number of workers."""
    base = _module("torch.utils.data").Dataset
    return type("MapsDataset", (_Items, base), {})(maps)


def to_tf(maps: StoredMaps) -> Any:
    """A `tf.data.Dataset` of (map, score, target)."""
    tf = _module("tensorflow")
    items = _Items(maps)

    def rows() -> Iterator[tuple]:
        return (items[row] for row in range(len(items)))

    specs = tuple(tf.TensorSpec(np.shape(part), np.asarray(part).dtype) for part in items[0])
    found = tf.data.Dataset.from_generator(rows, output_signature=specs)
    return found.apply(tf.data.experimental.assert_cardinality(len(items)))


class _Items:
    """(map, score, target) by number; the target is -1 where a function was explained."""

    def __init__(self, maps: StoredMaps):
        self._maps = maps

    def __len__(self) -> int:
        return len(self._maps)

    def __getitem__(self, row: int) -> tuple[Array, Any, Any]:
        arrays = self._maps.arrays([row])
        target = arrays["targets"][0] if "targets" in arrays else np.int64(-1)
        return self._maps[row], arrays["scores"][0], target


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(f"this needs {name.partition('.')[0]}: pip install {name.partition('.')[0]}") from None
