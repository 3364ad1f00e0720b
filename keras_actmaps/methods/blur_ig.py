"""Blur integrated gradients: the gradient along the path from a blurred image to the sharp one."""

import functools
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from keras import ops

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.run_context import RunContext
from keras_actmaps.core.settings import Count, Gt
from keras_actmaps.core.traced_model import TracedModel, outputs_only
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._sampling import run_chunks
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

    def rows(numbers: Array) -> list:
        parts = middles[numbers], blurs[numbers], blurs[numbers + 1]
        return [_decays(side, part) for side in inputs.shape[1:-1] for part in parts]

    total = np.zeros(inputs.shape)
    for _, part in run_chunks(
        traced, inputs, targets, steps, rows, _blurred_each, context, function=saliency, reduce=_products
    ):
        total += part
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
        modes, decay = _modes(inputs.shape[axis]), _decays(inputs.shape[axis], np.array([float(deviation)]))
        inputs = np.moveaxis(np.moveaxis(inputs, axis, -1) @ ((modes * decay) @ modes.T), -1, axis)
    return inputs


def _blurred_each(inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """The inputs blurred by each of the first decays of an axis, (s, N, ...)."""
    return _along_axes(_spectrum(inputs), [rows[0::3]])


def _products(values: Tensor, is_real: Tensor, inputs: Tensor, rows: Any, constants: Any) -> Tensor:
    """sum_s (L(b_s+1) - L(b_s)) g_s."""
    return ops.tensordot(is_real, _along_axes(_spectrum(inputs), [rows[2::3], rows[1::3]]) * values, axes=1)


def _spectrum(inputs: Tensor) -> Tensor:
    """Inputs (N, ..., C) in the modes of diffusion along each axis."""
    for axis in range(1, len(inputs.shape) - 1):
        inputs = _transformed(inputs, axis, _modes(inputs.shape[axis]))
    return inputs


def _along_axes(spectrum: Tensor, decays: list[list[Tensor]]) -> Tensor:
    """A spectrum with the decays (s, side) of each axis, minus that with others if there are any, as images."""
    found: Any = None
    for part in decays:
        scaled = spectrum[None]
        for axis, decay in enumerate(part, start=2):
            shape = [
                side if number in (0, axis) else 1 for number, side in enumerate((decay.shape[0], *spectrum.shape))
            ]
            scaled = scaled * ops.reshape(decay, shape)
        found = scaled if found is None else found - scaled
    for axis in range(2, len(spectrum.shape)):
        found = _transformed(found, axis, _modes(spectrum.shape[axis - 1]).T)
    return found


def _transformed(values: Tensor, axis: int, matrix: Array) -> Tensor:
    """Values multiplied by a matrix (side, side) along an axis."""
    return ops.moveaxis(ops.matmul(ops.moveaxis(values, axis, -1), ops.convert_to_tensor(matrix)), -1, axis)


@functools.lru_cache(maxsize=8)
def _modes(side: int) -> Array:
    """The modes (positions, orders) of diffusion along a row of pixels with mirrored borders."""
    order = np.arange(side)
    modes = np.cos(np.pi * (order[:, None] + 0.5) * order / side) * np.sqrt(np.where(order, 2, 1) / side)
    return modes.astype("float32")


def _decays(side: int, deviations: Array) -> Array:
    """The share (s, side) of each mode that is left after blurs of these standard deviations.

    This is the discrete analog of the Gaussian. Unlike a sampled Gaussian it creates no extrema, conserves the sum, and
    is accurate for deviations below a pixel (Lindeberg 1990).
    """
    order = np.arange(side)
    return np.exp(-(deviations[:, None] ** 2) * (1 - np.cos(np.pi * order / side))).astype("float32")


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
