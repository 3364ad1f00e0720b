"""Expected gradients: integrated gradients, averaged over many baselines."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
from keras import ops

from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._sampling import per_sample, run_chunks
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
    rows, constants = draw(inputs, baselines, samples, seed)
    total = np.zeros(inputs.shape)
    for _, part in run_chunks(
        traced,
        inputs,
        targets,
        samples,
        rows,
        _between,
        context,
        constants=constants,
        function=saliency,
        reduce=_products,
    ):
        total += part
    return Attribution((total / samples).astype("float32"))


def validate_baselines(traced: TracedModel, inputs: Array, *, baselines: Any, **_: Any) -> None:
    """ValueError for baselines that do not fit, and for none where an input has no pixels to reorder."""
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
    rows, constants = draw(inputs, settings["baselines"], settings["samples"], settings["seed"])
    parts = [
        part.sum(axis=0, dtype="float64")
        for _, part in run_chunks(
            traced, inputs, targets, settings["samples"], rows, starts, context, constants=constants
        )
    ]
    return scores - (np.sum(parts, axis=0) / settings["samples"]).astype("float32")


def draw(inputs: Array, baselines: Any, samples: int, seed: int) -> tuple[Callable, tuple]:
    """The rows of samples, which are an index or an order of pixels and a position on the path, and the constants."""
    random = np.random.default_rng(seed)
    positions = ((random.random() + GOLDEN * np.arange(samples)) % 1).astype("float32")
    if baselines is None:
        pixels = int(np.prod(inputs.shape[1:-1]))

        def shuffled(numbers: Array) -> list:
            orders = [np.random.default_rng([seed, number]).permutation(pixels) for number in numbers]
            return [np.stack(orders).astype("int32"), positions[numbers]]

        return shuffled, ()
    order = np.sort(np.resize(random.permutation(len(baselines)), samples)).astype("int32")
    return (lambda numbers: [order[numbers], positions[numbers]]), (np.asarray(baselines, "float32"),)


def starts(inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """The baselines (s, N, ...): rows of those that are constant, or the pixels of each input in another order."""
    index = rows[0]
    if constants:
        chosen = ops.take(constants[0], index, axis=0)[:, None]
        return ops.where(ops.isnan(chosen), inputs[None], chosen)  # NaN: of several inputs, one that is not varied
    pixels = ops.reshape(inputs, (inputs.shape[0], -1, inputs.shape[-1]))
    found = ops.moveaxis(ops.take(pixels, index, axis=1), 1, 0)
    return ops.reshape(found, (index.shape[0], *inputs.shape))


def _between(inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """x_s + a_s (x - x_s) for each baseline and position on the path."""
    start = starts(inputs, rows, constants)
    return start + per_sample(rows[1], inputs) * (inputs - start)


def _products(values: Tensor, is_real: Tensor, inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """sum_s (x - x_s) g_s."""
    return ops.tensordot(is_real, (inputs - starts(inputs, rows, constants)) * values, axes=1)


METHOD = Method(
    name="expected_gradients",
    function=expected_gradients,
    multi_input=True,
    single_pass=False,
    reduction="sum",
    validate=validate_baselines,
    total=_total,
    needs=frozenset({"gradients"}),
    summary="The contribution of each pixel to the score, relative to random baselines",
    paper="Erion et al. 2021",
    cost="`samples` forward and backward passes, and as many forward passes for the residual.",
    limitations="noisy with few samples; depends on the baselines, and unrealistic ones mislead.",
)
