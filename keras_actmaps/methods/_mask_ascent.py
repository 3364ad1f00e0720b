"""The ascent of smooth masks: grids of cells, enlarged by a smooth maximum (Fong et al. 2019, section 3)."""

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.backend import to_numpy
from keras_actmaps.core.attribution import map_shape
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods.registry import Attribution

RATE = 0.2  # step size of the ascent
LIGHTEST, HEAVIEST = 0.1, 100.0  # weight of the area, in the first and in the last step
SHARPNESS = 20.0  # of the smooth maximum
EDGE = 0.5  # standard deviation of the edge of a cell, in cells


class Run(NamedTuple):
    """Arrays (N, ...) of some steps of the ascent."""

    logits: Tensor  # of the cells
    masks: Tensor  # sum of the masks of all steps
    totals: Tensor  # sum of their scores
    last: Tensor  # the mask of this step
    last_scores: Tensor
    slopes: Tensor  # the largest derivative of the score with respect to a cell, in the first step


class MaskAscent(NamedTuple):
    """The ascent for the same inputs with any fill."""

    traced: TracedModel
    inputs: Array
    targets: Any
    context: RunContext
    start: Array
    area: float
    total: int

    def __call__(self, hidden: Array, steps: int) -> Run:
        """As many steps and, at last, the scores of the masks that they lead to."""
        count, space = len(self.inputs), map_shape(self.inputs)
        run = Run(
            logits=np.broadcast_to(self.start, (count, *self.start.shape)).copy(),
            masks=np.zeros((count, *space), "float32"),
            totals=np.zeros(count, "float32"),
            last=np.zeros((count, *space), "float32"),
            last_scores=np.zeros(count, "float32"),
            slopes=np.full(count, -1, "float32"),
        )
        images, hidden = map(ops.convert_to_tensor, (self.inputs, hidden))
        weights = np.geomspace(LIGHTEST, HEAVIEST, steps, dtype="float32")
        for weight in (*weights, weights[-1]):
            values, _, _ = self.traced.run(
                _step, images, self.targets, hidden, weight, *run, context=self.context, area=self.area
            )
            run = Run(*values)
            self.context.report(count, count * self.total)
        return Run(*map(to_numpy, run))


def _step(
    traced: TracedModel, images: Tensor, targets: Any, hidden: Tensor, weight: Tensor, *arrays: Tensor, area: float
) -> Attribution:
    """A step of the ascent, from the arrays of a run to the next."""
    run, space = Run(*arrays), map_shape(images)
    values = ops.sigmoid(run.logits)

    def score(values: Tensor) -> tuple[Tensor, Any]:
        mask = smooth_mask(values, space)
        outputs = traced.outputs(spread(mask, images) * images + (1 - spread(mask, images)) * hidden)
        scores = traced.score(outputs, targets)
        return scores, (outputs, mask, scores)

    (gain,), (outputs, mask, scores) = backend.gradients(score, [values])
    (loss,), _ = backend.gradients(lambda values: (_excess(smooth_mask(values, space), values, area), None), [values])
    slopes = ops.max(ops.abs(gain), axis=tuple(range(1, len(gain.shape))))
    found = Run(
        logits=run.logits + RATE * (gain / spread(ops.maximum(slopes, 1e-12), gain) - weight * loss),
        masks=run.masks + mask,
        totals=run.totals + scores,
        last=mask,
        last_scores=scores,
        slopes=ops.where(run.slopes < 0, slopes, run.slopes),
    )
    return Attribution(tuple(found), outputs)


def _excess(masks: Tensor, values: Tensor, area: float) -> Tensor:
    """The squared distance (N,) of the sorted mask from the step vector, in cells."""
    positions, count = int(np.prod(masks.shape[1:])), int(np.prod(values.shape[1:]))
    step = ops.convert_to_tensor((np.arange(positions) >= positions - size_of(area, positions)).astype("float32"))
    ranked = ops.sort(ops.reshape(masks, (-1, positions)), axis=-1)
    return count * ops.mean((ranked - step) ** 2, axis=-1)


def size_of(area: float, positions: int) -> int:
    """How many of the positions a mask of this area keeps, at least one."""
    return max(1, round(area * positions))


def spread(values: Tensor, like: Tensor) -> Tensor:
    """Values (N, ...) with further axes of length 1, as many as another tensor has."""
    return ops.reshape(values, (*values.shape, *(1,) * (len(like.shape) - len(values.shape))))


def smooth_mask(values: Tensor, space: tuple[int, ...]) -> Tensor:
    """The values (N, h, w) of a grid as masks (N, H, W): the smooth maximum, along each axis, of soft-edged cells."""
    if len(space) == 1 and values.shape[1] == space[0]:  # tabular features have no neighbors
        return values
    for axis, side in enumerate(space, start=1):
        reach = ops.convert_to_tensor(_reach(values.shape[axis], side))
        cells = ops.moveaxis(values, axis, -1)[..., None, :] * reach
        values = ops.moveaxis(ops.sum(cells * ops.softmax(SHARPNESS * cells, axis=-1), axis=-1), -1, axis)
    return values


def _reach(count: int, side: int) -> Array:
    """How much each of `side` positions belongs to each of `count` cells: 1 inside, a Gaussian edge outside."""
    positions = (np.arange(side) + 0.5) * count / side - 0.5
    outside = np.maximum(np.abs(positions[:, None] - np.arange(count)) - 0.5, 0)
    return np.exp(-0.5 * (outside / EDGE) ** 2).astype("float32")
