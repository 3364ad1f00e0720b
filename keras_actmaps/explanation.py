"""Explanation: the frozen record that travels from a method to metrics, files and pictures."""

import csv
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class Explanation:
    """Raw maps and what they explain.

    maps: float32 (N, H, W), or (N, K, H, W) for K targets an image; signed, not normalised.
    targets: int64 (N,) or (N, K); -1 where the target was a function of the outputs.
    scores: float32 like targets: the score each map explains (a logit, for a classifier).
    layer: the layer or layers whose features the maps are made of; None for methods that ask the whole model.
    residual: float32 like targets or None: the sum of the map minus what it should sum to.
    """

    maps: np.ndarray
    targets: np.ndarray
    scores: np.ndarray
    method: str
    layer: str | list[str] | None = None
    residual: np.ndarray | None = None
    settings: dict = field(default_factory=dict)
    versions: dict = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.maps)

    def save(self, path: str | os.PathLike) -> Path:
        """Write a `.npz` file, whole or not at all; OSError where that cannot be done."""
        arrays = {"maps": self.maps, "targets": self.targets, "scores": self.scores}
        if self.residual is not None:
            arrays["residual"] = self.residual
        words = {name: getattr(self, name) for name in ("method", "layer", "settings", "versions")}
        return save_arrays(path, about=np.array(json.dumps(words, default=_plain)), **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Explanation":
        """Read what `save` wrote; FileNotFoundError for no file, ValueError for another kind of file."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in arrays.files}
            return cls(**json.loads(str(found.pop("about"))), **found)
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{str(path)!r} holds no explanation: {error}") from error


def single_maps(explanation: Explanation) -> np.ndarray:
    """The maps (N, ...), one an image; ValueError where there are several of an image or one is not finite."""
    if np.ndim(explanation.targets) == 2:
        raise ValueError(f"maps of {explanation.targets.shape[1]} targets an image; give those of one")
    finite = np.isfinite(explanation.maps).reshape(len(explanation), -1).all(axis=1)
    if not finite.all():
        raise ValueError(f"map {int(np.argmin(finite))} holds NaN or Inf")
    return explanation.maps


def first_of(explanation: Explanation, count: int | None) -> Explanation:
    """The explanation of the first images; None = of all."""
    return replace(explanation, **{name: array[:count] for name, array in _arrays(explanation).items()})


def joined(parts: Sequence[Explanation]) -> Explanation:
    """The explanations of one batch after another as one."""
    arrays = [_arrays(part) for part in parts]
    return replace(parts[0], **{name: np.concatenate([one[name] for one in arrays]) for name in arrays[0]})


def _arrays(explanation: Explanation) -> dict[str, np.ndarray]:
    """What has a row an image."""
    arrays = {name: getattr(explanation, name) for name in ("maps", "targets", "scores", "residual")}
    return {name: array for name, array in arrays.items() if array is not None}


def save_arrays(path: str | os.PathLike, **arrays: np.ndarray) -> Path:
    """Write named arrays as a `.npz` file, whole or not at all; OSError where that cannot be done."""
    with whole(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return Path(path)


def save_rows(path: str | os.PathLike, rows: Iterable[Sequence]) -> Path:
    """Write rows as a `.csv` file, whole or not at all; OSError where that cannot be done."""
    with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return Path(path)


@contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """A path beside it to write to, which takes its place at the end; nothing is left of it where the writing fails."""
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _plain(value):
    """What JSON does not know: arrays as lists, functions by name."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return getattr(value, "__name__", None) or repr(value)
