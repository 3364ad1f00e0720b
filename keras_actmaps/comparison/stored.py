"""Maps of a finished run, such as `kam.Maps`, in the place of a method: they are read as they are needed."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_actmaps.comparison.batches import is_shared
from keras_actmaps.core.attribution import map_shape
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.stored import StoredExplanations, has_map
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array


@dataclass(frozen=True, eq=False)
class StoredRequest:
    """Stored maps, instead of a method that computes them."""

    stored: StoredExplanations

    def validate(self, traced: TracedModel, inputs: Array) -> None:
        """ValueError for maps that do not have the shape of the first of these inputs."""
        if not traced.is_table:
            self._require_shape(self.stored.explanation([0]), inputs)

    def require_count(self, count: int) -> None:
        """ValueError unless there are as many maps as images."""
        if count != len(self.stored):
            raise ValueError(f"stored maps of {len(self.stored)} images do not fit {count} images")

    def explanation(self, first: int, inputs: Any) -> Explanation:
        """The Explanation of consecutive images; ValueError if the run has fewer, or maps of another shape."""
        count = len(keras.tree.flatten(inputs)[0])
        if first + count > len(self.stored):
            raise ValueError(f"stored maps of {len(self.stored)} images do not fit {first + count} images or more")
        found = self.stored.explanation(np.arange(first, first + count))
        if not isinstance(found.maps, dict):
            self._require_shape(found, inputs)
        return found

    def _require_shape(self, explanation: Explanation, inputs: Any) -> None:
        shape, expected = explanation.maps.shape[1:], map_shape(inputs)
        if np.ndim(explanation.scores) != 1 or shape != expected:
            raise ValueError(f"stored maps must be one per image, of shape {expected} as the images, got {shape}")


def require_targets(label: str, explanation: Explanation, targets: Any, first: int) -> None:
    """ValueError if stored maps of consecutive images explain other targets.

    targets: a class, (N,) classes, or a function; None if they are not known.
    """
    if targets is None:
        return
    if callable(targets) or explanation.targets is None:
        if callable(targets) and explanation.targets is None:
            return
        what = "a function of the outputs" if explanation.targets is None else "classes"
        raise ValueError(f"the maps of {label!r} explain {what}, and the other methods do not")
    found = explanation.targets
    expected = np.broadcast_to(np.asarray(targets), found.shape) if is_shared(targets) else np.asarray(targets)
    wrong = np.flatnonzero((found != expected) & has_map(explanation))
    if wrong.size:
        row = wrong[0]
        raise ValueError(
            f"the map of image {first + row} in {label!r} explains class {found[row]}, and the other methods explain "
            f"class {expected[row]}; pass targets=maps.targets"
        )
