"""Integrated gradients: the gradient along the way from a baseline to the image."""

import functools
import warnings

import numpy as np

from keras_actmaps import engine
from keras_actmaps.methods.baselines import baseline_for, gain_over
from keras_actmaps.methods.kinds import (
    accumulate,
    check_channels,
    check_count,
    many_passes,
    reduced,
    sampled,
    scores_only,
    sums_to,
)
from keras_actmaps.methods.saliency import saliency

MOST_STEPS = 4096  # where raising them for a tolerance ends
ROUNDING = 1e-6  # of the scores: below it a residual says nothing in float32


def _check(probe, images, *, baseline, steps, tolerance, channels):
    check_count("steps", steps)
    check_channels(channels)
    baseline_for(images[:1], baseline)
    if tolerance is not None and not 0 < tolerance < np.inf:
        raise ValueError(f"tolerance={tolerance!r} cannot be reached; give a share of the score above 0, as 0.01")


@sums_to(gain_over("baseline"))
@many_passes(_check)
def integrated_gradients(probe, images, targets, *, baseline="zero", steps=64, tolerance=None, channels="sum"):
    """The part of each pixel in the score's rise from a baseline to the image (Sundararajan et al. 2017, eq. 1).

    S = sum_c (x - x0) sum_s w_s dY/dx (x0 + a_s (x - x0)), with the nodes a_s and weights w_s of Gauss-Legendre
    quadrature. It sums to Y(x) - Y(x0); what is missing is the residual. images (N,H,W,C) -> (N,H,W).

    baseline: x0, as in `baseline_for`. steps: how many nodes. tolerance: the path is cut into 2, 4, 8 ... equal pieces
    of `steps` nodes each, until the residual is within this share of Y(x) - Y(x0), or 4096 steps are not enough, which
    a warning says. channels: "sum", "max" of the absolute values, or "keep".
    Cost: `steps` forward and backward passes.
    Fails: what is like the baseline gets nothing, as black on a black baseline; passes through images never seen.
    """
    start = baseline_for(images, baseline)
    attributions = _attributions(probe, images, start, targets, steps)
    if tolerance is not None:
        _refine(probe, images, start, targets, steps, tolerance, attributions)
    return engine.to_numpy(reduced(attributions.astype("float32"), channels))


def _attributions(probe, images, start, targets, steps: int, pieces: int = 1) -> np.ndarray:
    """(x - x0) times the mean gradient between, (N,H,W,C), the path being cut into `pieces` of `steps` nodes."""
    nodes, weights = _quadrature(steps)
    gradients = np.zeros(images.shape)
    for piece in range(pieces):
        places = ((piece + nodes) / pieces).astype("float32")

        def between(which, sample, places=places):
            place = places[sample].reshape(-1, *(1,) * (images.ndim - 1))
            return start[which] + place * (images[which] - start[which])

        everything = np.arange(len(images))
        for which, sample, rows, _ in sampled(
            probe, everything, targets, steps, between, saliency.program, channels="keep"
        ):
            weight = weights[sample].reshape(-1, *(1,) * (images.ndim - 1))
            accumulate(gradients, which, weight * rows / pieces)
    return (images - start) * gradients


def _refine(probe, images, start, targets, steps, tolerance, attributions) -> None:
    """Cut the path into more pieces, for the images that need it, until completeness holds to the tolerance."""
    scores, begins = (engine.to_numpy(probe.ask(scores_only, x, targets)[2]).astype("float64") for x in (images, start))
    expected = scores - begins
    allowed = np.maximum(tolerance * np.abs(expected), ROUNDING * (np.abs(scores) + np.abs(begins)))
    pieces = 1
    while True:
        residual = np.abs(attributions.reshape(len(images), -1).sum(1) - expected)
        rest = np.flatnonzero(residual > allowed)
        if not rest.size:
            return
        if 2 * pieces * steps > MOST_STEPS:
            worst = rest[np.argmax(residual[rest] / allowed[rest])]
            warnings.warn(f"integrated_gradients: tolerance={tolerance} is not reached; the residual after "
                          f"{pieces * steps} steps is {residual[worst]:.2g} of a difference of {expected[worst]:.2g}",
                          stacklevel=2)  # fmt: skip
            return
        pieces *= 2
        asked = targets if callable(targets) else targets[rest]
        attributions[rest] = _attributions(probe, images[rest], start[rest], asked, steps, pieces)


@functools.lru_cache(maxsize=8)
def _quadrature(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes between 0 and 1 and weights that sum to 1, of Gauss and Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return (nodes + 1) / 2, weights / 2
