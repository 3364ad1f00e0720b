"""Atomic writing of files: a file is either complete or unchanged."""

import csv
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside `path`, which replaces it at the end; if writing fails, nothing is left behind."""
    path = Path(path)
    temporary = path.parent / f".{secrets.token_hex(8)}{path.name[-100:]}"
    # With mode 0o666 the kernel applies the umask, which Python can only read by setting it for all threads.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save_arrays(path: str | os.PathLike, **arrays: Any) -> Path:
    """Write arrays as a `.npz` file under their keywords, atomically; OSError if that fails."""
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return Path(path)


def save_array(path: str | os.PathLike, array: np.ndarray) -> Path:
    """Write one array as a `.npy` file, atomically; OSError if that fails."""
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)
    return Path(path)


def save_rows(path: str | os.PathLike, rows: Iterable[Sequence]) -> Path:
    """Write rows as a `.csv` file, atomically; OSError if that fails."""
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return Path(path)


def save_text(path: str | os.PathLike, text: str) -> Path:
    """Write a text file, atomically; OSError if that fails."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)
