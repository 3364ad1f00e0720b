"""Scores of inputs with filled patches, for which only what a patch can reach is computed again."""

import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.attribution import rows_of
from keras_actmaps.core.graph import Graph
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.core.window_plan import WindowPlan, plan_windows
from keras_actmaps.core.window_run import run_patches, run_unchanged
from keras_actmaps.methods._baselines import baseline_for
from keras_actmaps.methods._sampling import chunk_size

WORTHWHILE = 0.8  # estimated share of the time of complete passes from which on these are run
SMALLEST = 1_000_000  # multiply-adds of a pass from which on the calls of operations take less time than these
MOST = 4  # times as many patches as inputs in a batch, if they take no more memory
PLANS = 8  # that are kept for each graph

_plans: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # by graph


def plan_for(traced: TracedModel, patches: Sequence[tuple[slice, ...]]) -> WindowPlan | None:
    """The plan for a traced model, always the same one, so that its programs are; None if there is none."""
    if not traced.has_gradients or traced.input_parts:
        return None
    graph: Graph = traced.folded
    known = _plans.setdefault(graph, {})
    key = tuple((side.start, side.stop) for patch in patches for side in patch)
    if key not in known:
        if len(known) >= PLANS:
            known.pop(next(iter(known)))
        known[key] = plan_windows(graph, patches)
    return known[key]


def is_worthwhile(plan: WindowPlan) -> bool:
    """Whether a plan is estimated to take less time than complete passes."""
    return plan.share < WORTHWHILE and plan.all_multiply_adds >= SMALLEST


def patch_scores(
    traced: TracedModel, inputs: Array, targets: Any, plan: WindowPlan, fill: Any, context: RunContext
) -> Array:
    """The scores (N, 1 + patches) of each input, and of the input with each patch filled.

    fill: see `baseline_for`. One input is computed at a time, and `context.batch_size` times MOST of its patches, or
    fewer if these take more memory than a batch of inputs.
    """
    hidden = baseline_for(inputs, fill)
    scores = [
        [*_scores(traced, inputs[row], rows_of(targets, row), plan, hidden[row], context, len(inputs))]
        for row in (slice(number, number + 1) for number in range(len(inputs)))
    ]
    return np.array([np.concatenate(parts) for parts in scores], "float64")


def _scores(
    traced: TracedModel, image: Array, target: Any, plan: WindowPlan, hidden: Array, context: RunContext, images: int
) -> Iterator[Array]:
    kept, _, score = traced.run(run_unchanged, image, target, context=context, plan=plan)
    yield to_numpy(score)
    starts = plan.starts
    count, total = len(starts), images * (1 + len(starts))
    context.report(1, total)
    size = chunk_size(count, int(context.batch_size * min(MOST, max(1, 1 / plan.memory_share))))
    for first in range(0, count, size):
        rows, real = np.minimum(np.arange(first, first + size), count - 1), min(size, count - first)
        found, _, _ = traced.run(run_patches, image, target, hidden, starts[rows], *kept, context=context, plan=plan)
        context.count_passes(real - 1)
        yield to_numpy(found)[:real]
        context.report(real, total)
