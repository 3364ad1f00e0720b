"""Type aliases that the whole package shares."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray
Tensor: TypeAlias = Any  # of the framework that Keras runs on
Slot: TypeAlias = int  # the number of a tensor in a graph
TargetFunction: TypeAlias = Callable[[Any], Tensor]
