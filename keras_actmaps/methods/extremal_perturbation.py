"""Extremal perturbation: the smallest smooth mask that keeps the score, or the best one of a given area."""

import functools
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.attribution import map_shape
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Fraction, PerAxis, Seed
from keras_actmaps.core.traced_model import TracedModel, outputs_only
from keras_actmaps.core.types import Array
from keras_actmaps.core.warn import warn_user
from keras_actmaps.methods._baselines import Baseline, baseline_for
from keras_actmaps.methods._mask_ascent import MaskAscent, size_of
from keras_actmaps.methods._masking import per_axis
from keras_actmaps.methods.registry import Attribution, Method

AREAS = (0.05, 0.1, 0.2, 0.4, 0.8)  # of which a run over areas takes the smallest that keeps the score
SMALLEST = 0.02  # area to which the masks of such a run tend
KEPT = 0.9  # a mask keeps the score if it loses at most a tenth of what the fill takes away
FILLS = ("zero", "mean", "blur")  # of which "best" is one
LEAST = 0.1  # share of what another fill takes away, below which a fill is not chosen
TRIAL = 4  # fills are compared in a quarter of the steps
START, NOISE = 3.0, 0.1  # mean and standard deviation of the initial logits: 95 % of each pixel is kept

Area = Annotated[Fraction | None, "share of the image that is kept; None is the smallest that keeps the score"]
BestFill = Annotated[
    Literal["best"] | Baseline,
    "replacement of hidden pixels: zero, the mean color, a blur, a number or an image; "
    "best is the one of the first three with which masks keep most of the score",
]


def extremal_perturbation(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    area: Area = None,
    steps: Annotated[Count, "steps of the ascent"] = 100,
    cells: Annotated[PerAxis, "cells of the mask along each axis"] = 14,
    fill: BestFill = "best",
    seed: Seed = 0,
) -> Attribution:
    """m = argmax Y(m x + (1 - m) x0) - w |sort(m) - r|^2 (Fong et al. 2019, section 3).

    r is a step vector, 0 but for a share `area` of ones, and w grows from step to step. The mask m is a grid of cells,
    enlarged by `smooth_mask`; it begins near 1, so that what the score needs is still there. The gradient of Y with
    respect to the cells is divided by its maximum and added to their logits. The seed is that of the noise that breaks
    ties between cells.

    Without an area, the masks of one ascent shrink from all pixels to a few. Their mean M ranks the pixels by when they
    are hidden, and m* is the smallest of the masks of the highest 5, 10, 20, 40 and 80 % of M that keeps the score:
    Y(m*) >= Y(x) - 0.1 (Y(x) - Y(x0)), or else the one with the highest score. The map is (m* + M) / 2, which is above
    0.5 where m* is 1.

    `fill_scores` of the explanation is Y(x0); `kept_scores` and `kept_areas` are those of m*, or of m.

    Notes
    -----
    TorchRay, by the authors, ascends 800 steps with momentum on the cells themselves, at a stride of 7 pixels and with
    a radius of 21, starts at 1 and mirrors every second image; it blurs what it hides, and its maps in the pointing
    game are the sum of four areas (0.025 to 0.2), blurred. Here the sum is that of one ascent, in a quarter of the
    steps or fewer, nothing is mirrored, and the fill is chosen.
    """
    fills = [np.broadcast_to(baseline_for(inputs, name), inputs.shape) for name in _fills(inputs, fill)]
    trial = max(1, steps // TRIAL) if len(fills) > 1 else -1
    total = len(fills) * (trial + 1) + steps + 1
    ascend = MaskAscent(traced, inputs, targets, context, _start(inputs, cells, seed), area or SMALLEST, total)
    score = functools.partial(_score, traced, targets, context)
    scores, alone, best = score(inputs), np.stack([*map(score, fills)]), np.zeros(len(inputs), int)
    if len(fills) > 1:
        best = _best_fill(scores, alone, np.stack([ascend(one, trial).totals / (trial + 1) for one in fills]))
    hidden, alone = np.stack(fills)[best, np.arange(len(inputs))], alone[best, np.arange(len(inputs))]
    run = ascend(hidden, steps)
    _warn_of_no_slope(context, run.slopes)
    maps, masks, kept = run.last, run.last, run.last_scores
    if area is None:
        ranking, goals = run.masks / (steps + 1), scores - (1 - KEPT) * np.maximum(scores - alone, 0)
        masks, kept = _smallest(ranking, inputs, hidden, goals, score)
        maps = (masks + ranking) / 2
    areas = masks.reshape(len(inputs), -1).mean(axis=1, dtype="float32")
    context.report_facts(fill_scores=alone, kept_scores=kept, kept_areas=areas)
    return Attribution(maps)


def _score(traced: TracedModel, targets: Any, context: RunContext, inputs: Array) -> Array:
    return to_numpy(traced.run(outputs_only, np.ascontiguousarray(inputs), targets, context=context)[2])


def _smallest(ranking: Array, inputs: Array, hidden: Array, goals: Array, score: Callable) -> tuple[Array, Array]:
    """The smallest masks (N, *space) of the highest pixels of a ranking whose scores reach `goals`, and the scores."""
    positions, rows = ranking[0].size, np.arange(len(inputs))
    ranks = ranking.reshape(-1, positions).argsort(axis=1, kind="stable").argsort(axis=1).reshape(ranking.shape)
    masks = np.stack([ranks >= positions - size_of(area, positions) for area in AREAS])
    spread = masks.reshape(*masks.shape, *(1,) * (inputs.ndim - ranking.ndim))
    kept = np.stack([score(np.where(mask, inputs, hidden)) for mask in spread])
    keeps = kept >= goals
    first = np.where(keeps.any(axis=0), keeps.argmax(axis=0), kept.argmax(axis=0))
    return masks[first, rows], kept[first, rows]


def _fills(inputs: Array, fill: Any) -> tuple:
    """The fills to compare; a table has neither a blur nor a mean color."""
    if not (isinstance(fill, str) and fill == "best"):
        return (fill,)
    return FILLS[:1] if inputs.ndim == 2 else FILLS


def _start(inputs: Array, cells: Any, seed: int) -> Array:
    """The initial logits (h, w) of the cells, the same for all inputs."""
    space = map_shape(inputs)
    grid = space if inputs.ndim == 2 else tuple(map(min, per_axis("cells", cells, space), space))
    return np.random.default_rng(seed).normal(START, NOISE, grid).astype("float32")


def _best_fill(scores: Array, alone: Array, means: Array) -> Array:
    """The fill (N,) whose masks keep most of what it takes away alone, among those that take away enough to tell."""
    drop = scores - alone
    tells = drop > np.maximum(LEAST * drop.max(axis=0), 0)
    share = np.where(tells, np.minimum((means - alone) / np.where(tells, drop, 1), 1), -1)
    return np.lexsort((drop, share), axis=0)[-1]


def _warn_of_no_slope(context: RunContext, slopes: Array) -> None:
    """Warn about inputs whose score does not change with the first mask."""
    numbers = np.arange(len(slopes)) if context.numbers is None else context.numbers
    flat = np.unique(numbers[slopes == 0])
    if flat.size:
        shown = ", ".join(map(str, flat[:5])) + (", ..." if flat.size > 5 else "")
        warn_user(
            f"extremal_perturbation: hiding a little of the input changes the score of no pixel in {flat.size} inputs "
            f"({shown}): the first gradient is 0 there, and the maps may show nothing but the noise of the start"
        )


def _validate(traced: TracedModel, inputs: Array, *, cells: Any, fill: Any, **_: Any) -> None:
    per_axis("cells", cells, map_shape(inputs))
    for name in _fills(inputs, fill):
        baseline_for(inputs[:1], name)


METHOD = Method(
    name="extremal_perturbation",
    function=extremal_perturbation,
    single_pass=False,
    validate=_validate,
    needs=frozenset({"gradients"}),
    summary="The smallest smooth mask, 0 to 1, that keeps the score, or the best one of a given area",
    paper="Fong et al. 2019, section 3",
    cost="`steps` forward and backward passes, and three quarters as many to choose the fill.",
    limitations="finds one good mask, not necessarily the best; depends on the fill, see `fill_scores`.",
)
