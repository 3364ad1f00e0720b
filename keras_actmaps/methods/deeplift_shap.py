"""DeepLIFT-SHAP: the mean of DeepLIFT over baselines."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
from keras import ops

from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._sampling import run_chunks
from keras_actmaps.methods.deeplift import contributions, reference_scores, validate_layers
from keras_actmaps.methods.expected_gradients import draw, starts, validate_baselines
from keras_actmaps.methods.registry import Attribution, Method

ORDERS = 20  # of the pixels by default
Samples = Annotated[Count | None, f"baselines drawn per image; None is all, or {ORDERS} orders of its own pixels"]


def deeplift_shap(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    baselines: Annotated[np.ndarray | dict[str, np.ndarray] | None, "inputs (B, ...), such as training images"] = None,
    samples: Samples = None,
    seed: Seed = 0,
) -> Attribution:
    """S = mean_b m_b (x - x_b), m_b the multipliers of DeepLIFT from x_b (Lundberg and Lee 2017, section 4.2).

    The map sums to Y(x) - mean_b Y(x_b). Without `baselines`, the pixels of the input itself, in random order, are
    used, which keep its colors but not its shapes. The rules are those of `deeplift`.
    """
    settings = {"baselines": baselines, "samples": samples, "seed": seed}
    return Attribution(_mean(traced, inputs, targets, contributions, settings, context))


def _total(
    traced: TracedModel, inputs: Array, targets: Any, scores: Array, settings: Mapping[str, Any], context: RunContext
) -> Array:
    """Y(x) - mean_b Y(x_b)."""
    return scores - _mean(traced, inputs, targets, reference_scores, settings, context)


def _mean(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    function: Callable,
    settings: Mapping[str, Any],
    context: RunContext,
) -> Array:
    """The mean over the baselines of what `function(traced, inputs, targets, baselines)` returns."""
    baselines = settings["baselines"]
    samples = settings["samples"] or (ORDERS if baselines is None else len(baselines))
    rows, constants = draw(inputs, baselines, samples, settings["seed"])
    chunks = run_chunks(
        *(traced, inputs, targets, samples, rows, _pairs, context),
        constants=constants,
        function=function,
        reduce=_summed,
    )
    return (sum(part.astype("float64") for _, part in chunks) / samples).astype("float32")


def _pairs(inputs: Tensor, rows: Any, constants: Any) -> tuple[Tensor, Tensor]:
    """The inputs, and for each its baselines, (s, N, ...)."""
    shape = (rows[0].shape[0], *inputs.shape)
    return ops.broadcast_to(inputs, shape), ops.broadcast_to(starts(inputs, rows, constants), shape)


def _summed(values: Tensor, is_real: Tensor, inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """The sum (N, ...) over the baselines."""
    return ops.tensordot(is_real, values, axes=1)


def _validate(traced: TracedModel, inputs: Array, *, baselines: Any, **_: Any) -> None:
    validate_baselines(traced, inputs, baselines=baselines)
    validate_layers(traced, "deeplift_shap")


METHOD = Method(
    name="deeplift_shap",
    function=deeplift_shap,
    multi_input=True,
    single_pass=False,
    reduction="sum",
    validate=_validate,
    total=_total,
    needs=frozenset({"gradients", "graph"}),
    summary="The contribution of each pixel to the score, relative to the mean over baselines, by the rescale rule",
    paper="Lundberg and Lee 2017, section 4.2: Deep SHAP",
    cost="2 forward passes and 1 backward pass per baseline, and 2 forward passes for the residual.",
    limitations="depends on the baselines, like expected gradients; Shapley values of nearly linear networks only.",
)
