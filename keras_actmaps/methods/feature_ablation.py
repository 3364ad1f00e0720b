"""Feature ablation: the drop in score when one segment is hidden."""

from typing import Annotated, Any

import numpy as np
from keras import ops

from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import PerAxis
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._baselines import Fill
from keras_actmaps.methods._masking import chunk_scores
from keras_actmaps.methods._segments import CELLS, Segments, segment, spread, validate_segments
from keras_actmaps.methods.registry import Attribution, Method


def feature_ablation(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    segments: Segments = "superpixels",
    cells: Annotated[PerAxis, CELLS] = 7,
    fill: Fill = "zero",
) -> Attribution:
    """S_i = Y(x) - Y(x with segment i filled), at each pixel of the segment (Li et al. 2016, eq. 1, not normalized).

    In a table each feature is a segment, unless integer labels (F,) as `segments` make groups of them; in a text each
    word is.
    """
    labels = segment(inputs, segments, cells)
    hidden = np.arange(-1, int(labels.max()) + 1, dtype="int32")  # -1: none

    def rows(numbers: Array) -> list:
        return [hidden[numbers]]

    constants = (np.ascontiguousarray(labels, "int32"),)
    scores = chunk_scores(traced, inputs, targets, len(hidden), rows, _masks_without, constants, fill, context)
    return Attribution(spread(scores[:, :1] - scores[:, 1:], labels))


def _masks_without(inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """Masks (s, N, *space) that are 0 at the segments (s,) of the labels (N, *space)."""
    hidden = ops.reshape(rows[0], (-1, *(1 for _ in constants[0].shape)))
    return ops.cast(ops.not_equal(constants[0], hidden), "float32")


METHOD = Method(
    name="feature_ablation",
    function=feature_ablation,
    single_pass=False,
    validate=validate_segments,
    summary="How much the score drops when a segment is hidden",
    paper="Li et al. 2016, eq. 1",
    cost="n + 1 forward passes for n segments.",
    limitations="hides one segment at a time, so redundant evidence is missed; depends on the segments and the fill.",
)
