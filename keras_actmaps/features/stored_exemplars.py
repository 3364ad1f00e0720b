"""Exemplars of stored maps: for each class, the images in which its map is the strongest."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_actmaps.core import stored
from keras_actmaps.core.explanation import Explanation, maps_of_one_input
from keras_actmaps.core.settings import show
from keras_actmaps.core.stored import StoredExplanations, has_map
from keras_actmaps.core.types import Array
from keras_actmaps.features.topk import Exemplars


@dataclass(frozen=True, eq=False)
class Strongest:
    """The images of one class with the highest scores, descending: scores (n,), indices (n,), places (n, axes)."""

    scores: Array
    indices: Array
    places: Array
    lowest: float

    def merged(self, k: int, other: "Strongest") -> "Strongest":
        """The k best of these and of later images."""
        scores = np.concatenate([self.scores, other.scores])
        best = np.argsort(-scores, kind="stable")[:k]
        indices = np.concatenate([self.indices, other.indices])[best]
        places = np.concatenate([self.places, other.places])[best]
        return Strongest(scores[best], indices, places, min(self.lowest, other.lowest))


def exemplars_of_maps(maps: StoredExplanations, classes: Any, k: int, reduce: str) -> Exemplars:
    """The exemplars of each explained class; see `exemplars`. `classes` is a class, several, or None for all."""
    found: dict[int, Strongest] = {}
    example = maps.explanation([0])
    if example.targets is None:
        raise ValueError("exemplars of stored maps are those of classes, and these maps explain a function")
    for start in range(0, len(maps), stored.CHUNK):
        rows = np.arange(start, min(len(maps), start + stored.CHUNK))
        for label, part in _by_class(maps.explanation(rows), rows, reduce).items():
            none = Strongest(part.scores[:0], part.indices[:0], part.places[:0], np.inf)
            found[label] = found.get(label, none).merged(k, part)
    chosen = sorted(found) if classes is None else np.atleast_1d(np.asarray(classes)).tolist()
    missing = [label for label in chosen if label not in found]
    if missing or not chosen:
        raise ValueError(f"no map explains class {show(missing[0] if missing else chosen)}; choices: {sorted(found)}")
    few = [label for label in chosen if len(found[label].scores) < k]
    if few:
        warnings.warn(f"k={k}, but fewer images are explained as class {', '.join(map(str, few))}", stacklevel=3)
    layer = example.method if example.layer is None else ", ".join(np.atleast_1d(example.layer))
    return _as_exemplars({label: found[label] for label in chosen}, layer, reduce)


def _by_class(explanation: Explanation, rows: Array, reduce: str) -> dict[int, Strongest]:
    """The scores of some images, by the class that their maps explain."""
    kept = np.flatnonzero(has_map(explanation))
    maps, targets = maps_of_one_input(explanation)[kept], np.asarray(explanation.targets)[kept]
    space = maps.shape[targets.ndim :]
    flat, targets = maps.reshape(*targets.shape, -1), targets.reshape(-1)
    images = np.repeat(rows[kept], flat.shape[1] if flat.ndim == 3 else 1)
    flat = flat.reshape(len(targets), -1)
    scores = flat.max(axis=1) if reduce == "max" else flat.mean(axis=1)
    places = np.stack(np.unravel_index(flat.argmax(axis=1), space), axis=-1).astype("int32")
    parts = {int(label): targets == label for label in np.unique(targets)}
    return {
        label: Strongest(scores[own], images[own], places[own], float(scores[own].min()))
        for label, own in parts.items()
    }


def _as_exemplars(found: dict[int, Strongest], layer: str, reduce: str) -> Exemplars:
    """The classes as rows, filled up with the index -1."""
    count, axes = max(len(one.scores) for one in found.values()), next(iter(found.values())).places.shape[1]
    scores = np.full((len(found), count), -np.inf, "float32")
    indices, places = np.full((len(found), count), -1, "int64"), np.full((len(found), count, axes), -1, "int32")
    for row, one in enumerate(found.values()):
        number = len(one.scores)
        scores[row, :number], indices[row, :number], places[row, :number] = one.scores, one.indices, one.places
    return Exemplars(
        scores=scores,
        indices=indices,
        channels=np.array(list(found), "int64"),
        lowest=np.array([one.lowest for one in found.values()], "float32"),
        layer=layer,
        reduce=reduce,
        places=places if reduce == "max" else None,
    )
