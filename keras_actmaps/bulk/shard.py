"""A shard: the maps and scores of consecutive images, as an HDF5 file in memory.

Maps are float16 multiples of a power of two for each map, so that its largest magnitude is between 1/2 and 1. A value
is thereby stored to within 2^-11 of itself, or 2^-24 of the largest where that is more; zeros and signs are exact.
The bytes of a file depend on its arrays only: it contains no times and no names of machines.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import h5py
import numpy as np

from keras_actmaps.core.types import Array

LEVEL = 4  # of gzip
PAGE = 4096  # bytes; smaller maps share a chunk, because an entry of the index of chunks costs as much as a small map
VERSION = 1


class Part(NamedTuple):
    """The results of some rows.

    Attributes
    ----------
    arrays : dict of array (N, ...)
        `scores`, `maps` or, for several inputs, `maps/NAME`, and perhaps `targets` and `residual`.
    errors : dict
        Why a row has no map, by its number in the source.
    """

    arrays: dict[str, Array]
    errors: dict[int, str]


def to_bytes(part: Part, start: int, about: Mapping[str, Any]) -> bytes:
    """The HDF5 file of a shard whose first row is `start`; `about` is kept as JSON."""
    with h5py.File("shard", "w", driver="core", backing_store=False, libver="earliest") as file:
        file.attrs["about"] = json.dumps({"version": VERSION, "start": start, **about}, sort_keys=True)
        file.attrs["errors"] = json.dumps(sorted(part.errors.items()))
        for name, array in sorted(part.arrays.items()):
            if not name.startswith("maps"):
                file.create_dataset(name, data=array, track_times=False)
                continue
            scales = scales_of(array, part.arrays["scores"].ndim)
            _write_maps(file, name, to_half(array, scales))
            file.create_dataset(f"scales/{name}", data=scales, track_times=False)
        file.flush()
        return file.id.get_file_image()


def _write_maps(file: h5py.File, name: str, maps: Array) -> None:
    rows = max(1, PAGE // max(1, maps[:1].nbytes))
    chunk = (min(rows, len(maps)), *maps.shape[1:])
    options = {"compression": "gzip", "compression_opts": LEVEL, "shuffle": True} if maps.size else {}
    file.create_dataset(name, data=maps, chunks=chunk if maps.size else None, track_times=False, **options)


def scales_of(maps: Array, axes: int) -> Array:
    """The power of two of each map, of the first `axes` axes, that is above its largest magnitude; 1 for zeros."""
    largest = np.abs(maps).reshape(*maps.shape[:axes], -1).max(axis=-1, initial=0)
    exponents = np.where(largest > 0, np.frexp(np.nan_to_num(largest))[1], 0)
    return np.ldexp(np.float32(1), np.clip(exponents, -126, 127)).astype("float32")


def to_half(maps: Array, scales: Array) -> Array:
    """The maps as float16 multiples of their scales."""
    return (maps / _aligned(scales, maps.ndim)).astype("float16")


def from_half(maps: Array, scales: Array) -> Array:
    """The maps as float32."""
    return maps.astype("float32") * _aligned(scales, maps.ndim)


def _aligned(scales: Array, rank: int) -> Array:
    return scales.reshape(*scales.shape, *(1,) * (rank - scales.ndim))


def read_rows(file: h5py.File, rows: slice | list[int]) -> dict[str, Array]:
    """The arrays of some rows of a shard, maps as float32."""
    found: dict[str, Array] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("scales/"):
            found[name] = item[rows]

    file.visititems(visit)
    return {
        name: from_half(array, file[f"scales/{name}"][rows]) if name.startswith("maps") else array
        for name, array in found.items()
    }


def read_errors(file: h5py.File) -> dict[int, str]:
    """Why rows have no map, by their number in the source."""
    return {int(index): text for index, text in json.loads(file.attrs["errors"])}
