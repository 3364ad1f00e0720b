"""StoredExplanations: what `kam.Maps` offers to metrics and others, which read it in parts."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array

CHUNK = 256  # images that are read at a time


@runtime_checkable
class StoredExplanations(Protocol):
    """Explanations that are read when they are needed; an image that could not be explained has a score of NaN."""

    def __len__(self) -> int: ...

    def explanation(self, rows: Any) -> Explanation:
        """The Explanation of some images."""


def has_map(explanation: Explanation) -> Array:
    """Which images (N,) could be explained."""
    return np.isfinite(explanation.scores).reshape(len(explanation), -1).all(axis=1)
