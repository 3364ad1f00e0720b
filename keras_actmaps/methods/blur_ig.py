"""Blur integrated gradients: the gradient along the path from a blurred image to the sharp one."""

import functools
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Gt
from keras_actmaps.core.traced_model import TracedModel, outputs_only
from keras_actmaps.core.types import Array
from keras_actmaps.methods._sampling import accumulate, run_samples
from keras_actmaps.methods.registry import Attribution, Method
from keras_actmaps.methods.saliency import saliency


def blur_ig(
    traced: TracedModel,
    inputs: Array,
    targets: Any,
    context: RunContext,
    *,
    sigma: Annotated[float, Gt(0), "standard deviation of the strongest blur, as a share of the longest side"] = 0.2,
    steps: Annotated[Count, "forward and backward passes"] = 64,
) -> Attribution:
    """S = sum_s dY/dx (L((b_s + b_s+1) / 2)) (L(b_s+1) - L(b_s)) (Xu et al. 2020).

    L(b) is the image blurred by a Gaussian of standard deviation b, from sigma times the longest side down to 0. The
    sum over the map is Y(x) - Y(L(b_0)). The paper takes a sigma of 50 pixels.
    """
    blurs = sigma * max(inputs.shape[1:-1]) * np.linspace(1, 0, steps + 1) ** 2
    middles = (blurs[1:] + blurs[:-1]) / 2
    total = np.zeros(inputs.shape)

    def between(which: Array, sample: Array) -> Array:
        return _blur_each(inputs, which, middles[sample])

    for which, sample, gradients, _ in run_samples(traced, inputs, targets, steps, between, saliency, context):
        change = _blur_each(inputs, which, blurs[sample + 1]) - _blur_each(inputs, which, blurs[sample])
        accumulate(total, which, change * gradients)
    return Attribution(total.astype("float32"))


def _validate(traced: TracedModel, inputs: Array, **_: Any) -> None:
    if inputs.ndim == 2:
        raise ValueError("the features of a table have no neighbors to blur; integrated_gradients works there")


def _total(
    traced: TracedModel, inputs: Array, targets: Any, scores: Array, settings: Mapping[str, Any], context: RunContext
) -> Array:
    """The score minus that of the most blurred image."""
    strongest = settings["sigma"] * max(inputs.shape[1:-1])
    return scores - to_numpy(traced.run(outputs_only, blurred(inputs, strongest), targets, context=context)[2])


def blurred(inputs: Array, deviation: float) -> Array:
    """Inputs (N, ..., C) blurred by a Gaussian of this standard deviation in pixels, with mirrored borders."""
    for axis in range(1, inputs.ndim - 1):
        rows = np.moveaxis(inputs, axis, -1) @ _diffusion(inputs.shape[axis], float(deviation))
        inputs = np.moveaxis(rows, -1, axis)
    return inputs


def _blur_each(inputs: Array, which: Array, deviations: Array) -> Array:
    """The inputs with the indices `which`, (M, ..., C), each with its own blur."""
    rows = np.empty((len(which), *inputs.shape[1:]), "float32")
    for deviation in np.unique(deviations):
        chosen = deviations == deviation
        rows[chosen] = blurred(inputs[which[chosen]], deviation)
    return rows


@functools.lru_cache(maxsize=512)
def _diffusion(side: int, deviation: float) -> Array:
    """The matrix (side, side) of diffusion along a row of pixels: the discrete analog of the Gaussian.

    Unlike a sampled Gaussian it creates no extrema, conserves the sum, and is accurate for deviations below a pixel
    (Lindeberg 1990).
    """
    order = np.arange(side)
    modes = np.cos(np.pi * (order[:, None] + 0.5) * order / side) * np.sqrt(np.where(order, 2, 1) / side)
    decays = np.exp(-(deviation**2) * (1 - np.cos(np.pi * order / side)))
    return ((modes * decays) @ modes.T).astype("float32")


METHOD = Method(
    name="blur_ig",
    function=blur_ig,
    single_pass=False,
    reduction="sum",
    validate=_validate,
    total=_total,
    needs=frozenset({"gradients"}),
    summary="The contribution of each pixel to the score, relative to a blurred image",
    paper="Xu et al. 2020",
    cost="`steps` forward and backward passes.",
    limitations="favors edges; regions that blurring hardly changes, such as uniform areas, get little.",
)
