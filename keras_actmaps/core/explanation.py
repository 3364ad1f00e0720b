"""Explanation: the frozen record that methods return and that metrics, files and pictures take."""

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_actmaps.core.files import save_array, save_arrays
from keras_actmaps.core.types import Array

_PER_IMAGE = ("maps", "targets", "scores", "residual")


@dataclass(frozen=True, eq=False)
class Explanation:
    """Raw attribution maps and what they explain.

    Attributes
    ----------
    maps : float32 array of shape (N, *space) or (N, K, *space)
        Signed and not normalized; with K maps per image if K targets per image are explained.
    targets : int64 array of shape (N,) or (N, K), or None
        The classes that are explained; None for a function of the outputs.
    scores : float32 array of shape (N,) or (N, K)
        The score that each map explains; a logit, for a classifier.
    method : str
        Name of the method.
    layer : str, list of str or None
        The layer or layers from whose features the maps are computed; None for methods that use the whole model.
    residual : float32 array like `scores`, or None
        Sum of the map minus its expected sum, for methods whose maps have one.
    settings : dict
        All settings of the method.
    versions : dict
        Versions of the packages that computed the maps.
    """

    maps: Array
    targets: Array | None
    scores: Array
    method: str
    layer: str | list[str] | None = None
    residual: Array | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, index: int | slice | Sequence[int] | Array) -> "Explanation":
        """The explanation of one image (as a batch of one) or of several."""
        rows = [index] if isinstance(index, (int, np.integer)) else index
        found: dict[str, Any] = {name: array[rows] for name, array in _per_image_arrays(self).items()}
        return replace(self, **found)

    def save(self, path: str | os.PathLike) -> Path:
        """Write the explanation as `.npz`, or only the maps as `.npy`. The file is replaced atomically.

        Parameters
        ----------
        path : path-like
            With the suffix `.npz` or `.npy`.

        Returns
        -------
        pathlib.Path

        Raises
        ------
        ValueError
            For any other suffix.
        OSError
            If the file cannot be written.
        """
        suffix = Path(path).suffix.lower()
        if suffix == ".npy":
            return save_array(path, self.maps)
        if suffix != ".npz":
            raise ValueError(
                f"{str(path)!r} must end in .npz, or in .npy for the maps alone; kam.render.save writes pictures"
            )
        metadata = {name: getattr(self, name) for name in ("method", "layer", "settings", "versions")}
        about = np.array(json.dumps(metadata, default=_to_json))
        return save_arrays(path, about=about, **_per_image_arrays(self))

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Explanation":
        """Read an explanation that `save` has written as `.npz`.

        Raises
        ------
        FileNotFoundError
            If the file does not exist.
        ValueError
            If the file is not a saved explanation.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in arrays.files}
            metadata = json.loads(str(found.pop("about")))
            return cls(**{"targets": None} | metadata | found)
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{str(path)!r} is not a saved explanation: {error}") from error


def maps_of_one_target(explanation: Explanation) -> Array:
    """The maps (N, ...); ValueError if an image has maps of several targets or a map is not finite."""
    if np.ndim(explanation.scores) == 2:
        raise ValueError(
            f"the explanation has maps of {explanation.scores.shape[1]} targets per image; pass maps of one target"
        )
    finite = np.isfinite(explanation.maps).reshape(len(explanation), -1).all(axis=1)
    if not finite.all():
        raise ValueError(f"map {int(np.argmin(finite))} contains NaN or Inf")
    return explanation.maps


def concatenate(parts: Sequence[Explanation]) -> Explanation:
    """The explanations of consecutive batches as one."""
    arrays = [_per_image_arrays(part) for part in parts]
    concatenated: dict[str, Any] = {name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]}
    return replace(parts[0], **concatenated)


def _per_image_arrays(explanation: Explanation) -> dict[str, Array]:
    """The arrays with one row per image."""
    arrays = {name: getattr(explanation, name) for name in _PER_IMAGE}
    return {name: array for name, array in arrays.items() if array is not None}


def _to_json(value: Any) -> Any:
    """Values without a JSON type: arrays as lists, functions and records by name."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return getattr(value, "name", None) or getattr(value, "__name__", None) or repr(value)
