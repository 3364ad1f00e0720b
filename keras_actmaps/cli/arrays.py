"""Inputs of the command explain that are no images: tables, series, volumes and several inputs from files of arrays."""

import csv
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_actmaps.cli.inputs import Images
from keras_actmaps.core.traced_model import TracedModel

SUFFIXES = (".npy", ".npz", ".csv")


def images_from_arrays(traced: TracedModel, file: str) -> Images:
    """The examples in a file as they enter the model; ValueError for another kind of file.

    A `.npz` with one array is that array, with several those of the inputs by name. A `.csv` has a row per example, or
    per step of a single series, with or without a line of names. A missing axis of examples is added.
    """
    path = Path(file)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--inputs {file}: the file must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    try:
        arrays, names = _read(path)
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"--inputs {file}: {str(error).splitlines()[0]}") from None
    parts = traced.input_parts if len(traced.input_parts) > 1 else ()
    ranks = {part.name: 1 + len(part.shape) for part in parts}
    if isinstance(arrays, dict) != bool(ranks):
        needed = f"the inputs {', '.join(ranks)}" if ranks else "a single input"
        raise ValueError(f"--inputs {file}: {traced.name!r} has {needed}; pass one array, or a .npz with one of each")
    if ranks:
        arrays = {name: _as_batch(array, ranks.get(name, array.ndim)) for name, array in arrays.items()}
    else:
        arrays = _as_batch(arrays, 2 if traced.tokens else len(traced.input_shape))
    traced.validate_inputs(arrays)
    count = len(keras.tree.flatten(arrays)[0])
    return Images(arrays, [f"{path.name}, example {number}" for number in range(count)], names=names)


def _read(path: Path) -> tuple[Any, list[str]]:
    """An array, or a dict of several, and the names of the columns, if known."""
    if path.suffix.lower() == ".csv":
        return _read_table(path)
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded, []
    with loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays, []


def _read_table(path: Path) -> tuple[np.ndarray, list[str]]:
    """The numbers of a CSV file, and the names in its first line, if any; ValueError for any other text."""
    with open(path, newline="", encoding="utf-8-sig") as lines:
        rows = [row for row in csv.reader(lines) if row]
    names: list[str] = []
    if rows and not all(_is_number(cell) for cell in rows[0]):
        names, *rows = rows
    widths = {len(row) for row in rows}
    if len(widths) != 1:
        raise ValueError("the rows differ in length" if widths else "there are no rows of numbers")
    wrong = next((cell for row in rows for cell in row if not _is_number(cell)), None)
    if wrong is not None:
        raise ValueError(f"{wrong[:40]!r} is not a number")
    if names and {len(names)} != widths:
        raise ValueError(f"the first line has {len(names)} names for {len(rows[0])} columns")
    return np.array(rows, "float64"), names


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _as_batch(array: np.ndarray, rank: int) -> np.ndarray:
    """The array with an axis of examples, where only that one is missing."""
    return array[None] if array.ndim == rank - 1 else array
