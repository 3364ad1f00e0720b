"""Expected gradients: integrated gradients, averaged over many baselines."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np

from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Seed
from keras_actmaps.core.traced_model import TracedModel, outputs_only
from keras_actmaps.core.types import Array
from keras_actmaps.methods._sampling import accumulate, run_samples
from keras_actmaps.methods.registry import Attribution, Method
from keras_actmaps.methods.saliency import saliency

GOLDEN = (np.sqrt(5) - 1) / 2  # its multiples, modulo 1, are evenly spread for any number of samples


def expected_gradients(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    baselines: Annotated[np.ndarray | dict[str, np.ndarray] | None, "inputs (B, ...), such as training images"] = None,
    samples: Annotated[Count, "baselines drawn per image"] = 100,
    seed: Seed = 0,
) -> Attribution:
    """S = mean_s (x - x_s) dY/dx (x_s + a_s (x - x_s)) (Erion et al. 2021).

    Baselines x_s are drawn at random, with one position a_s on each path, evenly spread over 0 to 1 by the golden
    ratio. The map sums to Y(x) - mean_s Y(x_s) in expectation. Without `baselines`, the pixels of the input itself,
    in random order, are used, which keep its colors but not its shapes.
    """
    rows = None if baselines is None else np.asarray(baselines)
    draw, positions = _draw(inputs, rows, samples, seed)
    positions = positions.reshape(-1, *(1,) * (inputs.ndim - 1))
    total = np.zeros(inputs.shape)

    def between(which: Array, sample: Array) -> Array:
        start = draw(which, sample)
        return start + positions[sample] * (inputs[which] - start)

    for which, sample, gradients, _ in run_samples(traced, inputs, targets, samples, between, saliency, context):
        accumulate(total, which, (inputs[which] - draw(which, sample)) * gradients)
    return Attribution((total / samples).astype("float32"))


def _validate(traced: TracedModel, inputs: Array, *, baselines: Any, **_: Any) -> None:
    if isinstance(baselines, dict):
        raise ValueError(f"baselines per input ({', '.join(baselines)}) do not fit a model with a single input")
    if baselines is None and inputs.ndim == 2:
        raise ValueError("the features of a table cannot be reordered; pass baselines (B, F), such as rows of it")
    if baselines is not None and (baselines.shape[1:] != inputs.shape[1:] or not len(baselines)):
        raise ValueError(f"baselines of shape {baselines.shape} do not fit inputs of shape {inputs.shape[1:]}")


def _total(
    traced: TracedModel, inputs: Array, targets: Any, scores: Array, settings: Mapping[str, Any], context: RunContext
) -> Array:
    """The score minus the mean score of the baselines that were drawn."""
    draw, _ = _draw(inputs, settings["baselines"], settings["samples"], settings["seed"])
    total = np.zeros(len(inputs))
    for which, _, _, found in run_samples(traced, inputs, targets, settings["samples"], draw, outputs_only, context):
        accumulate(total, which, found)
    return scores - (total / settings["samples"]).astype("float32")


def _draw(inputs: Array, baselines: Array | None, samples: int, seed: int) -> tuple[Callable, Array]:
    """`(input index, sample index) -> baselines`, and the position of each sample on its path."""
    random = np.random.default_rng(seed)
    positions = ((random.random() + GOLDEN * np.arange(samples)) % 1).astype("float32")
    if baselines is not None:
        rows = np.asarray(baselines, "float32")
        order = np.sort(np.resize(random.permutation(len(rows)), samples))
        return (lambda which, sample: rows[order[sample]]), positions

    def shuffled(which: Array, sample: Array) -> Array:
        pixels = inputs.reshape(len(inputs), -1, inputs.shape[-1])
        rows = [np.random.default_rng([seed, s]).permutation(pixels[i]) for i, s in zip(which, sample)]
        return np.stack(rows).reshape(-1, *inputs.shape[1:])

    return shuffled, positions


METHOD = Method(
    name="expected_gradients",
    function=expected_gradients,
    multi_input=True,
    single_pass=False,
    reduction="sum",
    validate=_validate,
    total=_total,
    needs=frozenset({"gradients"}),
    summary="The contribution of each pixel to the score, relative to random baselines",
    paper="Erion et al. 2021",
    cost="`samples` forward and backward passes, and as many forward passes for the residual.",
    limitations="noisy with few samples; depends on the baselines, and unrealistic ones mislead.",
)
