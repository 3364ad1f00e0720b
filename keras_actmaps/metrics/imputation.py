"""ROAD: the score as the most important pixels are replaced by an interpolation of their neighbors."""

from typing import Annotated, Any

import numpy as np
from keras import ops

from keras_actmaps import backend
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.settings import Fraction, Ge, Seed
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.methods._sampling import run_samples
from keras_actmaps.metrics._inputs import target_scores, validate_inputs
from keras_actmaps.metrics._patches import patch_ranks
from keras_actmaps.metrics.registry import BatchSize, Metric, Score, validated

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)  # those of the authors' code
TOLERANCE = 1e-5  # of the residual, relative to that of the start
Shares = Annotated[Fraction | tuple[Fraction, ...] | list[Fraction], "shares of the pixels that are removed"]
Noise = Annotated[float, Ge(0), "standard deviation of the noise, as a share of the image's value range"]


@validated
def road(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    shares: Shares = SHARES,
    noise: Noise = 0.01,
    score: Score = "softmax",
    targets: Any = None,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
) -> Array:
    """Mean score as the most important pixels are removed and imputed from their neighbors ("ROAD", MoRF).

    mean_s Y(x with the share s of the pixels imputed) (Rong et al. 2022), see `road_curve`. The paper reports
    the accuracy over the images for each share. For its other order, least important pixels first, negate the maps.

    Parameters
    ----------
    model, images, explanation, shares, noise, score, targets, seed, batch_size
        As for `road_curve`.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        As `road_curve` does.

    Notes
    -----
    One forward pass and the solution of a linear system per share and image.
    """
    curve = road_curve(
        model,
        images,
        explanation,
        shares=shares,
        noise=noise,
        score=score,
        targets=targets,
        seed=seed,
        batch_size=batch_size,
    )
    return curve.mean(axis=1)


@validated
def road_curve(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    shares: Shares = SHARES,
    noise: Noise = 0.01,
    score: Score = "softmax",
    targets: Any = None,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
) -> Array:
    """Scores after the removal of shares of the pixels, the most important first.

    Noisy linear imputation (Rong et al. 2022, section 4.2): each removed pixel is the weighted mean of its neighbors
    inside the image, removed or not, with weight 1/6 for direct and 1/12 for diagonal neighbors; then noise is added.
    The system is solved by conjugate gradients in float32, until the residual is 1e-5 of that of the start, the mean
    color.

    Parameters
    ----------
    images : array of shape (N, H, W, C)
    shares : float or sequence of float
        Between 0 and 1; by default those of the authors' code.
    noise : float
        Standard deviation as a share of each image's value range; the draws are the same for all images.
    model, explanation, score, targets, seed, batch_size
        See `keras_actmaps.metrics`.

    Returns
    -------
    float64 array of shape (N, shares)

    Raises
    ------
    ValueError
        For inputs that are not images (N, H, W, C), and for settings and inputs that do not fit.
    """
    traced, images, maps, targets, context = validate_inputs(model, images, explanation, targets, batch_size)
    if images.ndim != 4:
        raise ValueError(f"road imputes pixels of images (N, H, W, C), got inputs of shape {images.shape}")
    shares_array = np.atleast_1d(np.asarray(shares, "float64"))
    if not shares_array.size:
        raise ValueError(f"shares must contain at least one number between 0 and 1, got {shares!r}")
    ranks, count = patch_ranks(maps)
    removed = np.clip((shares_array * count + 1e-9).astype(int), 1, count - 1)
    strength = noise * (images.max(axis=(1, 2, 3), keepdims=True) - images.min(axis=(1, 2, 3), keepdims=True))
    generators = [np.random.default_rng([seed, number]) for number in range(len(removed))]
    drawn = np.stack([generator.standard_normal(images.shape[1:], "float32") for generator in generators])
    program = traced.program((road_curve, "impute"), impute)

    def perturb(which: Array, sample: Array) -> Array:
        holes = (ranks[which] < removed[sample, None, None])[..., None].astype("float32")
        filled = backend.to_numpy(program(images[which], holes))
        return filled + holes * strength[which] * drawn[sample]

    scores, all_images = np.empty((len(images), len(removed))), np.arange(len(images))
    for which, sample, values, _ in run_samples(
        traced, all_images, targets, len(removed), perturb, target_scores, context, score=score
    ):
        scores[which, sample] = values
    return scores


def impute(images: Tensor, holes: Tensor) -> Tensor:
    """Images (N, H, W, C) where each pixel in the holes (N, H, W, 1), 0 or 1, is the weighted mean of its neighbors.

    Solves (D - W) x = W y at the holes, with y the known pixels and D the sum of a pixel's weights, which is symmetric
    and positive definite where a pixel is known, by conjugate gradients, for each image and channel separately.
    """
    known = (1 - holes) * images
    start = holes * ops.sum(known, axis=(1, 2), keepdims=True) / ops.sum(1 - holes, axis=(1, 2), keepdims=True)
    degrees = _neighbor_sum(ops.ones_like(images[:1, :, :, :1]))

    def system(x: Tensor) -> Tensor:
        return holes * (degrees * x - _neighbor_sum(x))

    residual = holes * _neighbor_sum(known) - system(start)
    first = _squared_norm(residual)

    def is_unsolved(step: Tensor, x: Tensor, residual: Tensor, direction: Tensor, squares: Tensor) -> Tensor:
        return ops.any(squares > TOLERANCE**2 * first)

    def improve(step: Tensor, x: Tensor, residual: Tensor, direction: Tensor, squares: Tensor) -> tuple[Tensor, ...]:
        along = system(direction)
        length = _ratio(squares, ops.sum(direction * along, axis=(1, 2), keepdims=True))
        x, residual = x + length * direction, residual - length * along
        after = _squared_norm(residual)
        return step + 1, x, residual, residual + _ratio(after, squares) * direction, after

    most = 10 * max(images.shape[1:3])
    state = ops.zeros((), "int32"), start, residual, residual, first
    return known + ops.while_loop(is_unsolved, improve, state, maximum_iterations=most)[1]


def _neighbor_sum(x: Tensor) -> Tensor:
    """The weighted sum of each pixel's eight neighbors, 0 outside: ([1 2 1]' [1 2 1] - 4 in the center) / 12."""
    padded = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:] - 4 * x) / 12


def _squared_norm(x: Tensor) -> Tensor:
    return ops.sum(x * x, axis=(1, 2), keepdims=True)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """above / below; 0 where the denominator is 0."""
    return ops.where(below > 0, above / ops.where(below > 0, below, 1.0), 0.0)


RECORDS = (
    Metric(
        name="road",
        function=road,
        better="lower",
        requires=frozenset({"model"}),
        summary="Mean score as the most important pixels are removed and imputed from their neighbors",
        paper="Rong et al. 2022",
        cost="One forward pass and the solution of a linear system per share.",
        limitations="large holes become smooth surfaces, unlike the images the model was trained on.",
    ),
)
