"""Eigen-CAM: the features along their first principal direction."""

from typing import Any

import numpy as np
from keras import ops

from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Tensor
from keras_actmaps.methods.registry import Attribution, Method


def eigencam(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """L = A v_1, with A = U S V^T the features as a matrix (h w, C), not centered (Muhammad and Yeasin 2020).

    The sign of a singular vector is arbitrary; it is chosen so that the sum of the map is >= 0.
    """
    values, (slot,), head = traced.split(inputs)
    features = ops.cast(values[slot], "float32")
    matrix = ops.reshape(features, (features.shape[0], -1, features.shape[-1]))
    finite = ops.all(ops.isfinite(matrix), axis=(1, 2), keepdims=True)  # of others there is no decomposition
    left, strengths, _ = ops.svd(ops.where(finite, matrix, ops.zeros_like(matrix)), full_matrices=False)
    first = ops.where(finite[:, 0], left[:, :, 0] * strengths[:, :1], np.nan)
    signed = ops.where(ops.sum(first, axis=1, keepdims=True) < 0, -first, first)
    maps = ops.reshape(signed, features.shape[:-1])
    if not callable(targets) and len(targets.shape) == 2:
        maps = ops.repeat(maps[:, None], targets.shape[1], axis=1)
    return Attribution(maps, traced.run_to_outputs(head, values))


METHOD = Method(
    name="eigencam",
    function=eigencam,
    level="layer",
    multi_target=True,
    needs=frozenset({"graph", "spatial_layer"}),
    summary="The first principal component of the features of a layer, for any target",
    paper="Muhammad and Yeasin 2020",
    cost="one forward pass and a singular value decomposition.",
    limitations="ignores the class, so all targets share a map; shows the background where its features dominate.",
)
