"""GradientSHAP: expected gradients of noisy copies of an input."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
from keras import ops

from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._noise import Noise, noise_strength
from keras_actmaps.methods._sampling import per_sample, run_chunks
from keras_actmaps.methods.expected_gradients import draw, starts, validate_baselines
from keras_actmaps.methods.registry import Attribution, Method
from keras_actmaps.methods.saliency import saliency


def gradient_shap(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    baselines: Annotated[np.ndarray | None, "inputs (B, ...), such as training images"] = None,
    samples: Annotated[Count, "noisy copies of each image, each with a baseline"] = 100,
    noise: Noise = 0.15,
    seed: Seed = 0,
) -> Attribution:
    """S = mean_s (x + e_s - x_s) dY/dx (x_s + a_s (x + e_s - x_s)) (Lundberg and Lee 2017; Erion et al. 2021).

    Baselines x_s and positions a_s are those of `expected_gradients`, and the noise e_s is that of `smoothgrad`: from
    N(0, (noise * (max x - min x))^2). The map sums to mean_s Y(x + e_s) - Y(x_s) in expectation.
    """
    rows, constants = _draw(inputs, baselines, samples, noise, seed)
    chunks = run_chunks(
        *(traced, inputs, targets, samples, rows, _between, context),
        constants=constants,
        function=saliency,
        reduce=_products,
    )
    total = sum(part.astype("float64") for _, part in chunks)
    return Attribution((total / samples).astype("float32"))


def _total(
    traced: TracedModel, inputs: Array, targets: Any, scores: Array, settings: Mapping[str, Any], context: RunContext
) -> Array:
    """The mean score of the noisy copies minus that of the baselines that were drawn."""
    samples = settings["samples"]
    rows, constants = _draw(inputs, settings["baselines"], samples, settings["noise"], settings["seed"])

    def mean_score(perturb: Callable) -> Array:
        chunks = run_chunks(traced, inputs, targets, samples, rows, perturb, context, constants=constants)
        return sum(part.sum(axis=0, dtype="float64") for _, part in chunks) / samples

    return (mean_score(_noisy) - mean_score(_starts)).astype("float32")


def _draw(inputs: Array, baselines: Any, samples: int, noise: float, seed: int) -> tuple[Callable, tuple]:
    """The rows of samples: noise, and those of expected gradients; the constants: its strength, and likewise."""
    rows, constants = draw(inputs, baselines, samples, seed)

    def drawn(numbers: Array) -> list:
        generators = [np.random.default_rng([seed, number, 1]) for number in numbers]  # 1: not those of the baselines
        return [np.stack([one.standard_normal(inputs.shape[1:], "float32") for one in generators]), *rows(numbers)]

    return drawn, (noise_strength(inputs, noise), *constants)


def _noisy(inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """x + e_s, (s, N, ...)."""
    return inputs + constants[0] * rows[0][:, None]


def _starts(inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """The baselines x_s, (s, N, ...)."""
    return ops.broadcast_to(starts(inputs, rows[1:], constants[1:]), (rows[0].shape[0], *inputs.shape))


def _between(inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """x_s + a_s (x + e_s - x_s)."""
    start = _starts(inputs, rows, constants)
    return start + per_sample(rows[2], inputs) * (_noisy(inputs, rows, constants) - start)


def _products(values: Tensor, is_real: Tensor, inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """sum_s (x + e_s - x_s) g_s."""
    ways = _noisy(inputs, rows, constants) - _starts(inputs, rows, constants)
    return ops.tensordot(is_real, ways * values, axes=1)


METHOD = Method(
    name="gradient_shap",
    function=gradient_shap,
    single_pass=False,
    reduction="sum",
    validate=validate_baselines,
    total=_total,
    needs=frozenset({"gradients"}),
    summary="The contribution of each pixel to the score of noisy copies, relative to random baselines",
    paper="Lundberg and Lee 2017, as the expected gradients of Erion et al. 2021",
    cost="`samples` forward and backward passes, and twice as many forward passes for the residual.",
    limitations="noisy with few samples; depends on the baselines, and unrealistic ones mislead.",
)
