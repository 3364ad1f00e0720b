"""Extremal perturbation: the smooth mask of a given area that keeps the score highest."""

import numpy as np
from keras import ops

from keras_actmaps import engine
from keras_actmaps.methods.baselines import baseline_for
from keras_actmaps.methods.kinds import check_count, check_seed, many_passes
from keras_actmaps.methods.masking import check_share, per_axis, space_of

RATE = 0.2  # of the ascent
LIGHTEST, HEAVIEST = 0.1, 100.0  # the weight of the area, in the first and in the last step
NOISE = 0.1  # of the logits that the ascent begins with
SHARPNESS = 20.0  # of the smooth maximum
EDGE = 0.5  # how softly a cell's edge falls off, in cells


def _check(probe, images, *, area, steps, cells, fill, seed):
    check_share("area", area)
    check_count("steps", steps)
    per_axis("cells", cells, space_of(images))
    check_seed(seed)
    baseline_for(images[:1], fill)


@many_passes(_check)
def extremal_perturbation(probe, images, targets, *, area=0.1, steps=200, cells=14, fill="blur", seed=0):
    """The smooth mask, 0 to 1, of a given area that keeps the score highest (Fong et al. 2019, section 3).

    m = argmax Y(m x + (1 - m) x0) - w |sort(m) - r|^2, where r is 0 but for a share `area` of ones and w grows from
    step to step. m is a grid of cells, enlarged by `smooth_mask`. Unlike in the paper, the ascent is on the logits of
    the cells, and the gradient of Y is divided by its maximum, so that the scale of Y makes no difference.
    images (N,H,W,C) -> (N,H,W).

    area: the share of the image that is kept. cells: of the grid, along an axis. fill: x0, as the baseline of
    `baseline_for`. seed: of the slight noise that the ascent begins with, so that no cell is first by its place.
    Cost: `steps` forward and backward passes.
    Fails: finds one good mask of many, not surely the best; an area larger than the evidence is spent on anything.
    """
    space = space_of(images)
    grid = space if images.ndim == 2 else tuple(map(min, per_axis("cells", cells, space), space))
    logits = np.random.default_rng(seed).normal(0, NOISE, grid).astype("float32")
    logits = ops.convert_to_tensor(np.tile(logits, (len(images), *(1,) * len(grid))))
    hidden = ops.convert_to_tensor(np.ascontiguousarray(baseline_for(images, fill)))
    images = ops.convert_to_tensor(images)
    for weight in np.geomspace(LIGHTEST, HEAVIEST, steps, dtype="float32"):
        logits, _, _ = probe.ask(_step, images, targets, hidden, weight, logits, area=area)
        probe.report(len(images), len(images) * steps)
    return engine.to_numpy(smooth_mask(ops.sigmoid(logits), space))


def _step(probe, images, targets, hidden, weight, logits, *, area):
    """The logits (N,h,w) of the cells after one step of the ascent."""
    space = space_of(images)
    places, count = int(np.prod(space)), int(np.prod(logits.shape[1:]))
    goal = ops.cast(np.arange(places) >= places - max(1, round(area * places)), "float32")

    def score(values):
        mask = smooth_mask(values, space)
        kept = ops.reshape(mask, (*mask.shape, *(1,) * (len(images.shape) - len(mask.shape))))
        outputs = probe.outputs(kept * images + (1 - kept) * hidden)
        return probe.score(outputs, targets), outputs

    def excess(values):
        ranked = ops.sort(ops.reshape(smooth_mask(values, space), (-1, places)), axis=-1)
        return count * ops.mean((ranked - goal) ** 2, axis=-1), None

    values = ops.sigmoid(logits)
    (gain,), outputs = engine.gradients(score, [values])
    (loss,), _ = engine.gradients(excess, [values])
    probe.note(outputs, targets)
    largest = ops.max(ops.abs(gain), axis=tuple(range(1, len(gain.shape))), keepdims=True)
    return logits + RATE * (gain / ops.maximum(largest, 1e-12) - weight * loss)


def smooth_mask(values, space: tuple[int, ...]):
    """The values (N,h,w) of a grid as masks (N,H,W): the smooth maximum, along each axis, of soft-edged cells."""
    if len(space) == 1 and values.shape[1] == space[0]:  # the features of a table have no neighbours
        return values
    for axis, side in enumerate(space, start=1):
        reach = ops.convert_to_tensor(_reach(values.shape[axis], side))
        cells = ops.moveaxis(values, axis, -1)[..., None, :] * reach
        values = ops.moveaxis(ops.sum(cells * ops.softmax(SHARPNESS * cells, axis=-1), axis=-1), -1, axis)
    return values


def _reach(count: int, side: int) -> np.ndarray:
    """How much each of `side` places sees of each of `count` cells: 1 inside, a Gaussian edge outside."""
    places = (np.arange(side) + 0.5) * count / side - 0.5
    outside = np.maximum(np.abs(places[:, None] - np.arange(count)) - 0.5, 0)
    return np.exp(-0.5 * (outside / EDGE) ** 2).astype("float32")
