"""Explanation: the frozen record that travels from a method to metrics, files and pictures."""

import json
import os
import zipfile
from dataclasses import dataclass, field
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
        path = Path(path)
        arrays = {"maps": self.maps, "targets": self.targets, "scores": self.scores}
        if self.residual is not None:
            arrays["residual"] = self.residual
        words = {name: getattr(self, name) for name in ("method", "layer", "settings", "versions")}
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with temporary.open("wb") as file:
                np.savez_compressed(file, about=np.array(json.dumps(words, default=_plain)), **arrays)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Explanation":
        """Read what `save` wrote; FileNotFoundError for no file, ValueError for another kind of file."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in arrays.files}
            return cls(**json.loads(str(found.pop("about"))), **found)
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{str(path)!r} holds no explanation: {error}") from error


def _plain(value):
    """What JSON does not know: arrays as lists, functions by name."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return getattr(value, "__name__", None) or repr(value)
