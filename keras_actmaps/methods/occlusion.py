"""Occlusion: the drop in score when a patch hides part of the image."""

import itertools
from typing import Annotated, Any

import numpy as np
from keras import ops

from keras_actmaps.core.attribution import map_shape
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import PerAxis
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._baselines import Fill, baseline_for
from keras_actmaps.methods._masking import chunk_scores, per_axis
from keras_actmaps.methods._windows import is_worthwhile, patch_scores, plan_for
from keras_actmaps.methods.registry import Attribution, Method

PARTS = 8  # patches along each axis by default


def occlusion(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    patch: Annotated[PerAxis | None, "side of the patch, or one per axis; None is an eighth of each side"] = None,
    stride: Annotated[PerAxis | None, "step between patches, or one per axis; None is half a patch"] = None,
    fill: Fill = "zero",
    incremental: Annotated[
        bool | None, "compute only what a patch can reach; None where that is estimated to pay"
    ] = None,
) -> Attribution:
    """S(p) = mean of Y(x) - Y(x with R filled) over the patches R that contain p (Zeiler and Fergus 2014).

    The last patch along an axis is moved back to end at the border. Where that takes less time, only the positions of
    each layer that a patch can reach are computed again (Nakandala et al. 2019, section 3); the scores are the same.
    """
    patches, space = windows(inputs, patch, stride), map_shape(inputs)
    plan = None if incremental is False else plan_for(traced, patches)
    if plan is not None and (incremental or is_worthwhile(plan)):
        scores = patch_scores(traced, inputs, targets, plan, fill, context)
    else:
        scores = complete_scores(traced, inputs, targets, patches, fill, context)
    drops, counts = np.zeros((*space, len(inputs))), np.zeros((*space, 1))
    for hidden, drop in zip(patches, scores[:, 0] - scores.T[1:]):
        drops[hidden] += drop
        counts[hidden] += 1
    return Attribution(np.moveaxis(drops / counts, -1, 0).astype("float32"))


def complete_scores(
    traced: TracedModel, inputs: Array, targets: Any, patches: list, fill: Fill, context: RunContext
) -> Array:
    """The scores (N, 1 + patches) of each input, and of the input with each patch filled, by complete passes."""
    nothing = (slice(0, 0),) * len(map_shape(inputs))
    ends = np.array([[(side.start, side.stop) for side in hidden] for hidden in (nothing, *patches)], "int32")

    def rows(numbers: Array) -> list:
        return [ends[numbers]]

    return chunk_scores(traced, inputs, targets, len(ends), rows, _patch_masks, (), fill, context)


def _patch_masks(inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """Masks (s, 1, *space) that are 0 between the ends (s, axes, 2)."""
    (ends,), space = rows, map_shape(inputs)
    hidden: Any = 1.0
    for axis, side in enumerate(space):
        positions = ops.arange(side, dtype="int32")
        inside = (positions >= ends[:, axis, :1]) & (positions < ends[:, axis, 1:])
        shape = [side if number == axis else 1 for number in range(len(space))]
        hidden = hidden * ops.reshape(ops.cast(inside, "float32"), (-1, 1, *shape))
    return 1 - hidden


def _validate(traced: TracedModel, inputs: Array, *, patch: Any, stride: Any, fill: Any, incremental: Any) -> None:
    patches = windows(inputs, patch, stride)
    baseline_for(inputs[:1], fill)
    if incremental and plan_for(traced, patches) is None:
        raise ValueError(
            f"incremental=True needs one input with spatial axes and the layers of the model, which {traced.name!r} "
            "does not have; use None"
        )


def windows(inputs: Array, patch: Any = None, stride: Any = None) -> list[tuple[slice, ...]]:
    """The patches that cover an input, row by row; ValueError if they do not fit or would leave gaps."""
    space = map_shape(inputs)
    if patch is None:
        patch = tuple(1 if inputs.ndim == 2 else max(1, side // PARTS) for side in space)
    sides = per_axis("patch", patch, space)
    steps = tuple(max(1, side // 2) for side in sides) if stride is None else per_axis("stride", stride, space)
    if any(side > whole for side, whole in zip(sides, space)):
        raise ValueError(f"patch={patch} is larger than the input, which is {space}")
    if any(step > side for step, side in zip(steps, sides)):
        raise ValueError(f"stride={stride} is larger than the patch {sides} and would leave gaps")
    rows = (
        [slice(first, first + side) for first in (*range(0, whole - side, step), whole - side)]
        for whole, side, step in zip(space, sides, steps)
    )
    return list(itertools.product(*rows))


METHOD = Method(
    name="occlusion",
    function=occlusion,
    single_pass=False,
    validate=_validate,
    summary="How much the score drops when a patch is hidden",
    paper="Zeiler and Fergus 2014, section 4.2",
    cost="one forward pass per patch; by default 225 per image, a few more if the patch has an odd side. Where only a "
    "part of each layer can change, that part is computed.",
    limitations="hides one part at a time, so redundant evidence is missed; the patch itself adds edges to the image.",
)
