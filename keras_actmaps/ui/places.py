"""What the features at a place of the image say: the channels that speak most for the class there."""

from typing import Any

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.attribution import Attribution
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor


def products(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """Features times their gradients (N, h, w, C), whose sum over the channels is HiResCAM's map."""
    return traced.map_at_layer(inputs, targets, ops.multiply)


def contributions(
    traced: TracedModel, inputs: Array, targets: Any, x: float, y: float
) -> tuple[Array, tuple[int, int]]:
    """The contribution of each channel (C,) at a place of the layer, and that place.

    Parameters
    ----------
    traced : TracedModel
        At a layer with a grid of features.
    inputs : array of shape (1, ...)
    targets
        As for `explain`.
    x, y : float
        The place as shares of the width and the height of the image, 0 to 1.
    """
    settled = traced.validate_targets(targets, 1)
    values, _, _ = traced.run(products, inputs, settled, context=RunContext(1, 1))
    grid = np.asarray(backend.to_numpy(values))[0]
    row, column = (min(int(share * side), side - 1) for share, side in zip((y, x), grid.shape[:2]))
    return grid[row, column], (row, column)
