"""Maps: the maps of a finished run, read from its shards when they are needed."""

import bisect
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import h5py
import keras
import numpy as np

from keras_actmaps.bulk import export
from keras_actmaps.bulk.files import MANIFEST, RUN
from keras_actmaps.bulk.shard import read_errors, read_rows
from keras_actmaps.bulk.store import open_store
from keras_actmaps.core.explanation import FACTS, Explanation
from keras_actmaps.core.resize import resize
from keras_actmaps.core.types import Array


class Maps:
    """The maps of a finished run of `explain_all`.

    `maps[i]` is the map of image i and `maps[i:j]` those of several, float32, as they are stored: of a method at a
    layer, at the size of the layer. `maps.explanation(i)` and `maps.explanations()` resize them to the inputs.
    An image that could not be explained has NaN in its map and score, and -1 as its target.

    Parameters
    ----------
    place : path or str
        The folder of the run, or its URL.

    Attributes
    ----------
    run : dict
        What was explained, and how: the content of run.json.

    Raises
    ------
    ValueError
        If the folder contains no finished run.
    """

    def __init__(self, place: str | os.PathLike):
        store = open_store(place)
        names = store.names()
        if MANIFEST not in names:
            what = "a run that is not finished" if RUN in names else "no run of explain_all"
            raise ValueError(f"{store.place!r} contains {what}")
        self.place: str = store.place
        self.run: dict[str, Any] = json.loads(store.read(RUN))
        self.shards: list[dict[str, Any]] = json.loads(store.read(MANIFEST))["shards"]
        missing = [shard["name"] for shard in self.shards if shard["name"] not in names]
        if missing:
            raise ValueError(f"{store.place!r} has lost {', '.join(missing[:5])}; explain_all computes them again")
        self._store = store
        self._starts = [shard["start"] for shard in self.shards]
        self._opened: tuple[int, int, h5py.File] | None = None  # process, number and file of the shard read last

    def __len__(self) -> int:
        return self.shards[-1]["start"] + self.shards[-1]["rows"]

    def __repr__(self) -> str:
        return f"Maps({self.place!r}, {len(self):,} images, method={self.run['method']!r})"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def __getitem__(self, rows: int | slice | Sequence[int] | Array) -> Any:
        """The map of an image, or those of several, as they are stored; a dict by input for several inputs."""
        if isinstance(rows, (int, np.integer)):
            maps = _maps_of(self.arrays([self._index(rows)]))
            return {name: part[0] for name, part in maps.items()} if isinstance(maps, dict) else maps[0]
        return _maps_of(self.arrays(rows))

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self), 256):
            maps = self[start : start + 256]
            if isinstance(maps, dict):
                yield from (dict(zip(maps, parts)) for parts in zip(*maps.values()))
            else:
                yield from maps

    def explanation(self, rows: int | slice | Sequence[int] | Array) -> Explanation:
        """The Explanation of an image (as a batch of one) or of several, as `explain` returns it."""
        if isinstance(rows, (int, np.integer)):
            rows = [self._index(rows)]
        arrays = self.arrays(rows)
        about = self.about
        maps = _maps_of(arrays)
        if about["space"] is not None:
            maps = keras.tree.map_structure(lambda part: resize(part, tuple(about["space"])), maps)
        return Explanation(
            maps=maps,
            targets=arrays.get("targets"),
            scores=arrays["scores"],
            method=about["method"],
            layer=about["layer"],
            layer_reason=about.get("layer_reason"),
            **{name: arrays[name] for name in FACTS if name in arrays},
            settings=about["settings"],
            versions=about["versions"],
            target_name=about["target_name"],
        )

    def explanations(self, batch_size: int = 256) -> Iterator[Explanation]:
        """All images as Explanations of at most `batch_size`, in order."""
        for start in range(0, len(self), batch_size):
            yield self.explanation(slice(start, start + batch_size))

    def to_zarr(self, path: str | os.PathLike) -> Any:
        """Write maps and scalars as a Zarr group; returns the group. ImportError without zarr."""
        return export.to_zarr(self, path)

    def to_parquet(self, path: str | os.PathLike) -> None:
        """Write index, score, target, residual and error of all images as a table. ImportError without pyarrow."""
        export.to_parquet(self, path)

    def to_torch(self) -> Any:
        """A `torch.utils.data.Dataset` of (map, score, target)."""
        return export.to_torch(self)

    def to_tf(self) -> Any:
        """A `tf.data.Dataset` of (map, score, target)."""
        return export.to_tf(self)

    @property
    def about(self) -> dict[str, Any]:
        """What all explanations have in common."""
        return json.loads(self._file(0).attrs["about"])

    @property
    def scores(self) -> Array:
        """The scores of all images."""
        return self._scalars("scores")

    @property
    def targets(self) -> Array | None:
        """The explained classes of all images; None if a function was explained."""
        return self._scalars("targets") if "targets" in self._file(0) else None

    @property
    def residual(self) -> Array | None:
        """The residuals of all images; None for methods without."""
        return self._scalars("residual") if "residual" in self._file(0) else None

    @property
    def errors(self) -> dict[int, str]:
        """Why images have no map, by their number."""
        found: dict[int, str] = {}
        for number, shard in enumerate(self.shards):
            if shard["errors"]:
                found |= read_errors(self._file(number))
        return found

    def _index(self, row: int) -> int:
        """The number of an image, counted from the end if negative; IndexError if there is none."""
        try:
            return range(len(self))[row]
        except IndexError:
            raise IndexError(f"image {row} does not exist; there are {len(self)}") from None

    def _scalars(self, name: str) -> Array:
        return np.concatenate([self._file(number)[name][()] for number in range(len(self.shards))])

    def _file(self, number: int) -> h5py.File:
        """An open shard; one at a time is kept, and none across a fork."""
        key = (os.getpid(), number)
        if self._opened is None or self._opened[:2] != key:
            self._opened = (*key, h5py.File(self._store.open(self.shards[number]["name"]), "r"))
        return self._opened[2]

    def arrays(self, rows: slice | range | Sequence[int] | Array) -> dict[str, Array]:
        """What is stored of some images, by name, in the order in which they are asked for."""
        numbers = np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows, int)
        numbers = np.where(numbers < 0, numbers + len(self), numbers)
        outside = numbers[(numbers < 0) | (numbers >= len(self))]
        if numbers.ndim != 1 or not numbers.size or outside.size:
            raise IndexError(f"no images {rows} among {len(self)}")
        ordered, places = np.unique(numbers, return_inverse=True)
        parts = []
        for shard in sorted({bisect.bisect_right(self._starts, number) - 1 for number in ordered}):
            first, count = self.shards[shard]["start"], self.shards[shard]["rows"]
            own = ordered[(ordered >= first) & (ordered < first + count)] - first
            is_run = len(own) == own[-1] - own[0] + 1
            parts.append(read_rows(self._file(shard), slice(own[0], own[-1] + 1) if is_run else own.tolist()))
        return {name: np.concatenate([part[name] for part in parts])[places] for name in parts[0]}


def _maps_of(arrays: dict[str, Array]) -> Any:
    """The maps among the arrays; a dict by input for several inputs."""
    if "maps" in arrays:
        return arrays["maps"]
    return {name.removeprefix("maps/"): part for name, part in arrays.items() if name.startswith("maps/")}
