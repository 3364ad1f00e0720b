"""Audit: the frozen record of what a model relies on over a data set."""

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_actmaps.auditing import mending
from keras_actmaps.auditing.clusters import Cluster
from keras_actmaps.auditing.intervals import Rate
from keras_actmaps.auditing.report import page
from keras_actmaps.auditing.words import cells, sentence
from keras_actmaps.core.files import save_arrays, save_text
from keras_actmaps.core.types import Array

_ARRAYS = ("predicted", "labels", "numbers", "places", "coordinates")
_OF_CLUSTERS = ("mean_map", "exemplars", "thumbnails")


@dataclass(frozen=True, eq=False, repr=False)
class Audit:
    """What a model relies on over a data set; `kam.audit` makes it.

    Attributes
    ----------
    clusters : tuple of Cluster
        By class, and within a class by suspicion.
    predicted, labels : int64 arrays of shape (N,)
        Of the images in their order; labels are -1 where the data set has none.
    numbers : int64 array of shape (N,)
        The position of each image's cluster in `clusters`; -1 for an image without a positive map, or of a class that
        was not audited.
    places : int64 array of shape (N, 2)
        Row and column at which the hot spot of each image begins.
    coordinates : float64 array of shape (N, 2)
        Of the images among those of their class, for a picture.
    space, patch : (int, int)
        Rows and columns of the images, and of a hot spot.
    about : dict
        Model, method, settings, seed and names of the classes.
    remarks : tuple of str
        What was left out, and why.
    """

    clusters: tuple[Cluster, ...]
    predicted: Array
    labels: Array
    numbers: Array
    places: Array
    coordinates: Array
    space: tuple[int, int]
    patch: tuple[int, int]
    about: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.predicted)

    def __repr__(self) -> str:
        return f"Audit({len(self)} images, {len(self.clusters)} clusters, {len(self.flagged)} flagged)"

    @property
    def flagged(self) -> tuple[Cluster, ...]:
        """The clusters whose suspicion has a lower bound above 0.2, the most suspicious first."""
        found = [cluster for cluster in self.clusters if cluster.flagged]
        return tuple(sorted(found, key=lambda cluster: -cluster.suspicion.low))

    @property
    def is_flagged(self) -> Array:
        """Whether (N,) each image is in a flagged cluster."""
        flags = np.array([cluster.flagged for cluster in self.clusters] + [False])
        return flags[self.numbers]

    def members(self, cluster: Cluster | str | int) -> Array:
        """The positions in the data set of the images of a cluster, by its record, name or number in `clusters`.

        Raises ValueError for a cluster that does not exist.
        """
        names = [one.name for one in self.clusters]
        name = getattr(cluster, "name", cluster)
        if isinstance(name, (int, np.integer)) and 0 <= name < len(names):
            return np.flatnonzero(self.numbers == name)
        if name not in names:
            raise ValueError(f"no cluster {name!r}; choices: {', '.join(names) or 'none'}")
        return np.flatnonzero(self.numbers == names.index(str(name)))

    def table(self) -> str:
        """The clusters as text, one row each, and a sentence on each flagged one."""
        rows = [*cells(self.clusters)]
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        return "\n".join([*lines, "", *self.sentences(), *self.remarks])

    def sentences(self) -> list[str]:
        """A sentence on each flagged cluster, or that there is none."""
        return [sentence(one) for one in self.flagged] or ["Nothing is flagged."]

    def report(self, folder: str | os.PathLike) -> Path:
        """Write one HTML page with everything in it, `audit.html`: a card for each cluster, the most suspicious first.

        The folder is created. Returns the path; raises OSError if it cannot be written.
        """
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        return save_text(path / "audit.html", page(self))

    def mask(self, images: Any) -> Array:
        """Copies of the audited images (N, H, W, C), in their order, with the hot spots of flagged clusters filled.

        They are filled from their surroundings. Training on them again takes the evidence of the patches away.
        """
        return mending.masked(self, images)

    def weights(self) -> Array:
        """Sample weights (N,) for training again: 0 in flagged clusters, more for the other images of their class.

        The weights of a class sum to the number of its images. Raises ValueError if all images of a class are flagged.
        """
        return mending.weights(self)

    def flip_rate(self, model: Any, images: Any, seed: int = 0) -> float:
        """How often flagged hot spots, pasted into images of other classes, turn `model` to their class.

        Each patch of the audited images, which are passed in their order, is tried in 4 random images; NaN if there are
        none. It compares a model before and after it was mended.
        """
        return mending.flip_rate(self, model, images, seed)

    def without_artifact(self, model: keras.Model, images: Any, layer: str | None = None) -> keras.Model:
        """A model on the same weights that does not see the artifact at a layer (P-ClArC, Anders et al. 2022, eq. 5).

        a' = a - v v^T (a - m), with the unit vector v from the mean m of the features outside of flagged hot spots to
        that inside, at every position.

        Parameters
        ----------
        model : keras.Model
            Functional or sequential.
        images : array of shape (N, H, W, C)
            The audited images in their order.
        layer : str or None
            One of the model's own layers, with a spatial output; None is the last one.

        Returns
        -------
        keras.Model
            Its layers are those of `model`, with one more behind the layer, which is not trained.

        Raises
        ------
        ValueError
            If nothing is flagged, and for other images and layers.
        """
        return mending.without_artifact(self, model, images, layer)

    def save(self, path: str | os.PathLike) -> Path:
        """Write the audit as `.npz`, which `load` reads; ValueError for another suffix, OSError if that fails."""
        if not str(path).lower().endswith(".npz"):
            raise ValueError(f"{str(path)!r} must end in .npz")
        records = [{k: v for k, v in vars(one).items() if k not in _OF_CLUSTERS} for one in self.clusters]
        about = {
            "clusters": records,
            "space": self.space,
            "patch": self.patch,
            "about": dict(self.about),
            "remarks": self.remarks,
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        for number, one in enumerate(self.clusters):
            arrays |= {f"{number}/{name}": getattr(one, name) for name in _OF_CLUSTERS}
        return save_arrays(path, record=np.array(json.dumps(about)), **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Audit":
        """Read an audit that `save` has written.

        Raises
        ------
        FileNotFoundError
            If the file does not exist.
        ValueError
            If the file is not a saved audit.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in arrays.files}
            record = json.loads(str(found.pop("record")))
            clusters = tuple(_cluster(number, one, found) for number, one in enumerate(record["clusters"]))
            own: dict[str, Any] = {name: found[name] for name in _ARRAYS}
            own |= {name: tuple(record[name]) for name in ("space", "patch", "remarks")}
            return cls(clusters, **own, about=record["about"])
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{str(path)!r} is not a saved audit: {error}") from error


def _cluster(number: int, record: Mapping[str, Any], arrays: Mapping[str, Array]) -> Cluster:
    """A cluster from a file."""
    values: dict[str, Any] = {name: Rate(*one) if isinstance(one, list) else one for name, one in record.items()}
    return Cluster(**values | {name: arrays[f"{number}/{name}"] for name in _OF_CLUSTERS})
