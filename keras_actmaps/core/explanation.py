"""Explanation: the frozen record that methods return and that metrics, files and pictures take."""

import importlib
import json
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_actmaps.core.files import save_array, save_arrays
from keras_actmaps.core.map_files import save_nifti, save_tiff
from keras_actmaps.core.summary import summary
from keras_actmaps.core.types import Array

FACTS = ("residual", "samples", "fill_scores", "kept_scores", "kept_areas")  # that some methods report
PER_IMAGE = ("maps", "targets", "scores", *FACTS)
_METADATA = ("method", "layer", "layer_reason", "settings", "versions", "target_name")
_MAP_FORMATS: dict[str | tuple, Callable] = {
    ".npy": save_array,
    (".tif", ".tiff"): save_tiff,
    (".nii", ".nii.gz"): save_nifti,
}


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Raw attribution maps and what they explain.

    Attributes
    ----------
    maps : float32 array of shape (N, *space) or (N, K, *space), or dict of such arrays
        Signed and not normalized; with K maps per image if K targets per image are explained. For a model with several
        inputs a dict by the names of inputs.
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
    samples : int64 array like `scores`, or None
        How many passes each map took, for a method that stopped at its `tolerance`.
    fill_scores, kept_scores, kept_areas : float32 arrays like `scores`, or None
        Of `extremal_perturbation`: the score of the fill alone, and the score and the area of the mask that is kept.
    settings : dict
        All settings of the method.
    versions : dict
        Versions of the packages that computed the maps.
    target_name : str or None
        What is explained where `targets` is None, such as `Difference(3, 5)` or the name of a function.
    layer_reason : str or None
        Why the method chose this layer; None for a layer that was passed.
    """

    maps: Any
    targets: Array | None
    scores: Array
    method: str
    layer: str | list[str] | None = None
    residual: Array | None = None
    samples: Array | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    target_name: str | None = None
    layer_reason: str | None = None
    fill_scores: Array | None = None
    kept_scores: Array | None = None
    kept_areas: Array | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        return f"Explanation({', '.join(f'{name}={text}' for name, text in summary(self).items())})"

    def _repr_html_(self) -> str:
        return _render().explanation_html(self)

    def input(self, name: str) -> "Explanation":
        """The explanation with the maps of one of several inputs only, as `settings["input"]` then says.

        Raises ValueError for an unknown name.
        """
        if not isinstance(self.maps, dict):
            raise ValueError(f"input={name!r}, but the explained model has a single input")
        if name not in self.maps:
            raise ValueError(f"no maps of input {name!r}; choices: {', '.join(self.maps)}")
        return replace(self, maps=self.maps[name], settings={**self.settings, "input": name})

    def __getitem__(self, index: int | slice | Sequence[int] | Array) -> "Explanation":
        """The explanation of one image (as a batch of one) or of several."""
        rows = [index] if isinstance(index, (int, np.integer)) else index
        return _with_arrays(self, {name: array[rows] for name, array in _per_image_arrays(self).items()})

    def save(self, path: str | os.PathLike) -> Path:
        """Write the explanation, or its maps alone, atomically; the suffix is the format.

        Parameters
        ----------
        path : path-like
            Everything as `.npz`, which `load` reads; only the maps as `.npy`, as `.tif` or `.tiff` with a page per map
            (H, W), or, of volumes, as `.nii` or `.nii.gz`; a picture as `.png`, see `kam.render.explanation_figure`.

        Returns
        -------
        pathlib.Path

        Raises
        ------
        ValueError
            For any other suffix, and for maps that the format cannot hold; ImportError without nibabel.
        OSError
            If the file cannot be written.
        """
        name = str(path).lower()
        if name.endswith(".png"):
            return _render().save(self.show(), path)
        for suffixes, write in _MAP_FORMATS.items():
            if name.endswith(suffixes):
                return write(path, maps_of_one_input(self))
        if not name.endswith(".npz"):
            choices = ".npz, in .npy, .tif, .tiff, .nii or .nii.gz for the maps alone, or in .png for a picture"
            raise ValueError(f"{str(path)!r} must end in {choices}")
        metadata = {name: getattr(self, name) for name in _METADATA}
        about = np.array(json.dumps(metadata, default=_to_json))
        return save_arrays(path, about=about, **_per_image_arrays(self))

    def show(self, inputs: Any = None) -> Any:
        """The maps as a Matplotlib figure, which a notebook displays; see `kam.render.explanation_figure`."""
        return _render().explanation_figure(self, inputs)

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
            maps = _nested(found)
            return cls(**{"targets": None} | metadata | maps)
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{str(path)!r} is not a saved explanation: {error}") from error


def _render() -> Any:
    """The subpackage that draws. It stands above this one and is therefore loaded by the package, when it is needed."""
    return importlib.import_module("keras_actmaps").render


def maps_of_one_input(explanation: Explanation) -> Array:
    """The maps of a single input; ValueError if there are maps of several inputs."""
    if isinstance(explanation.maps, dict):
        names = ", ".join(explanation.maps)
        raise ValueError(f"the explanation has maps by input ({names}); select one: explanation.input(name)")
    return explanation.maps


def maps_of_one_target(explanation: Explanation) -> Array:
    """The maps (N, ...); ValueError if an image has maps of several targets or inputs, or a map is not finite."""
    maps = maps_of_one_input(explanation)
    if np.ndim(explanation.scores) == 2:
        raise ValueError(
            f"the explanation has maps of {explanation.scores.shape[1]} targets per image; pass maps of one target"
        )
    finite = np.isfinite(maps).reshape(len(explanation), -1).all(axis=1)
    if not finite.all():
        raise ValueError(f"map {int(np.argmin(finite))} contains NaN or Inf")
    return maps


def concatenate(parts: Sequence[Explanation]) -> Explanation:
    """The explanations of consecutive batches as one."""
    arrays = [_per_image_arrays(part) for part in parts]
    return _with_arrays(parts[0], {name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]})


def _per_image_arrays(explanation: Explanation) -> dict[str, Array]:
    """The arrays with one row per image; maps of several inputs are named `maps/INPUT`."""
    arrays = {name: getattr(explanation, name) for name in PER_IMAGE}
    if isinstance(explanation.maps, dict):
        arrays = {f"maps/{name}": array for name, array in arrays.pop("maps").items()} | arrays
    return {name: array for name, array in arrays.items() if array is not None}


def _with_arrays(explanation: Explanation, arrays: Mapping[str, Array]) -> Explanation:
    """The explanation with other arrays, named as by `_per_image_arrays`."""
    return replace(explanation, **_nested(arrays))


def _nested(arrays: Mapping[str, Array]) -> dict[str, Any]:
    """Arrays with those named `maps/INPUT` as a dict of maps."""
    maps = {name.removeprefix("maps/"): array for name, array in arrays.items() if name.startswith("maps/")}
    others: dict[str, Any] = {name: array for name, array in arrays.items() if not name.startswith("maps/")}
    return others | ({"maps": maps} if maps else {})


def _to_json(value: Any) -> Any:
    """Values without a JSON type: arrays as lists, functions and records by name."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return getattr(value, "name", None) or getattr(value, "__name__", None) or repr(value)
