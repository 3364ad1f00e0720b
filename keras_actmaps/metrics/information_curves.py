"""Performance information curves: the score of the image, shown in the order of its map, over its information."""

import io
from typing import Annotated, Any, Literal

import numpy as np
import scipy
from keras import ops
from PIL import Image

from keras_actmaps.core.attribution import Attribution
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.settings import Fraction, Seed
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array, Tensor
from keras_actmaps.core.validation import PREDICTED
from keras_actmaps.methods._sampling import run_samples
from keras_actmaps.metrics._inputs import MetricInputs, target_scores, validate_inputs
from keras_actmaps.metrics.registry import BatchSize, Metric, validated

SHARES = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.10, 0.13, 0.21, 0.34, 0.5, 0.75)  # those of the authors' code
POINTS = 1001  # of a curve
CHANNELS = (1, 3)  # of images that WebP holds
Performance = Annotated[
    Literal["softmax", "accuracy", "sigmoid", "logit"], "softmax: SIC; accuracy: AIC; or another score of the target"
]


@validated
def pic(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    score: Performance = "softmax",
    shares: Annotated[tuple[Fraction, ...], "shares of the pixels that are shown"] = SHARES,
    random_share: Annotated[Fraction, "share of random pixels that are always shown"] = 0.01,
    monotonic: Annotated[bool, "replace each score by the largest one so far"] = True,
    targets: Any = None,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
) -> Array:
    """Area under the performance information curve: high where little information restores the score.

    int_0^1 P dI, with I = (B_k - B_0) / (B_1 - B_0) and P = (Y_k - Y_0) / (Y_1 - Y_0), clipped to [0, 1]: B is the size
    of the image as lossless WebP, Y its score, 1 the image, 0 its blur, and k the blur with the image in a share of the
    pixels, the highest of the map (Kapishnikov et al. 2019, section 4; normalized as in the authors' code). The
    pixels that are not shown are interpolated linearly between those that are, the corners and some random pixels.

    Parameters
    ----------
    images : array of shape (N, H, W, 1) or (N, H, W, 3)
        Are rounded to 256 levels of each image's value range.
    score : {"softmax", "accuracy", "sigmoid", "logit"}
        "softmax" is the softmax information curve (SIC); "accuracy", 1 where the target is predicted and 0 elsewhere,
        is the accuracy information curve (AIC).
    shares : tuple of float
        Shares of the pixels that are shown, between 0 and 1.
    random_share : float
        Share of the pixels that the blur is made of, at random, the same for all images.
    monotonic : bool
        Replace each P by the largest one so far, as in the paper.
    model, explanation, targets, seed, batch_size
        See `keras_actmaps.metrics`.

    Returns
    -------
    float64 array of shape (N,)
        NaN where the blur has the score or the information of the image, or more. The authors also leave out images
        with a probability below 0.8.

    Raises
    ------
    ValueError
        For inputs that are not images, and for settings that do not fit.

    Notes
    -----
    As many forward passes as shares, and 2 more. Interpolation takes seconds for a photograph. The mean over the images
    is the area under the mean of their curves; the authors also report the median curve.
    """
    inputs = validate_inputs(model, images, explanation, targets, batch_size)
    if inputs.images.ndim != 4 or inputs.images.shape[-1] not in CHANNELS:
        raise ValueError(f"pic needs images (N, H, W, 1) or (N, H, W, 3), got inputs of shape {inputs.images.shape}")
    if score == "accuracy" and callable(inputs.targets):
        raise ValueError("score='accuracy' needs classes as targets, got a function; use another score")
    if not shares:
        raise ValueError("shares must contain at least one fraction, got ()")
    anchors = _anchors(inputs.maps.shape[1:], random_share, seed)
    levels, lowest, step = _quantized(inputs.images)
    variants = np.stack([_variants(*pair, sorted(shares), anchors) for pair in zip(levels, inputs.maps)], axis=1)
    sizes = np.array([[_webp_size(image) for image in row] for row in variants], "float64")
    scores = _scores(inputs, variants, lowest, step, score)
    return np.array([_area(*curve, monotonic) for curve in zip(sizes.T, scores.T)])


def _anchors(space: tuple[int, ...], share: float, seed: int) -> Array:
    """The pixels (H, W) that are always shown: a random share of them, and the corners."""
    pixels = int(np.prod(space))
    mask = np.zeros(pixels, bool)
    mask[np.random.default_rng(seed).choice(pixels, int(share * pixels), replace=False)] = True
    mask = mask.reshape(space)
    mask[:: max(1, space[0] - 1), :: max(1, space[1] - 1)] = True
    return mask


def _quantized(images: Array) -> tuple[Array, Array, Array]:
    """Images as uint8, and the lowest value and the size of a level of each."""
    axes = tuple(range(1, images.ndim))
    lowest, highest = images.min(axis=axes, keepdims=True), images.max(axis=axes, keepdims=True)
    step = np.where(highest > lowest, highest - lowest, 1) / 255
    return np.round((images - lowest) / step).astype("uint8"), lowest, step


def _variants(image: Array, values: Array, shares: list[float], anchors: Array) -> Array:
    """Images (K + 2, H, W, C): the blur, with each share of the pixels shown, and the image."""
    shown = [anchors, *(anchors | (values >= np.quantile(values, 1 - share)) for share in shares)]
    return np.stack([*(_interpolated(image, mask) for mask in shown), image])


def _interpolated(image: Array, mask: Array) -> Array:
    """The image (H, W, C), interpolated linearly outside the mask."""
    if mask.all():
        return image
    filled = image.copy()
    mean = image.mean(axis=(0, 1))  # outside the triangles, by rounding
    values = scipy.interpolate.griddata(np.argwhere(mask), image[mask].astype("float64"), np.argwhere(~mask))
    values = np.where(np.isnan(values), mean, values).astype("float32")  # so that halves are not rounded by noise
    filled[~mask] = np.round(values).astype("uint8")
    return filled


def _webp_size(image: Array) -> int:
    """The bytes of an image (H, W, 1 or 3) as lossless WebP."""
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "webp", lossless=True, quality=100)
    return buffer.tell()


def _scores(inputs: MetricInputs, variants: Array, lowest: Array, step: Array, score: str) -> Array:
    """The scores (K + 2, N) of quantized variants (K + 2, N, H, W, C)."""
    traced, images, _, targets, context = inputs
    scores = np.empty(variants.shape[:2])
    function, settings = (_accuracy, {}) if score == "accuracy" else (target_scores, {"score": score})

    def perturb(which: Array, sample: Array) -> Array:
        return lowest[which] + step[which] * variants[sample, which]

    for which, sample, values, _ in run_samples(
        traced, images, targets, len(variants), perturb, function, context, **settings
    ):
        scores[sample, which] = values
    return scores


def _accuracy(traced: TracedModel, inputs: Tensor, targets: Any) -> Attribution:
    """1 where the target is the predicted class, as a function for `TracedModel.run`."""
    outputs = traced.outputs(inputs)
    predicted = traced.resolve(outputs, ops.full_like(targets, PREDICTED))
    return Attribution(ops.cast(ops.equal(predicted, targets), "float32"), outputs)


def _area(sizes: Array, scores: Array, monotonic: bool) -> float:
    """The area under the curve of the scores (K + 2,) over the sizes, from the blur to the image."""
    ranges = sizes[-1] - sizes[0], scores[-1] - scores[0]
    if min(ranges) <= 0:
        return np.nan
    information, performance = (
        np.clip((part[1:-1] - part[0]) / width, 0, 1) for part, width in zip((sizes, scores), ranges)
    )
    if monotonic:
        performance = np.maximum.accumulate(performance)
    x, y = np.append(information, (0, 1)), np.append(performance, (0, 1))
    order = np.argsort(x, kind="stable")
    points = np.linspace(0, 1, POINTS)
    return float(np.trapezoid(np.interp(points, x[order], y[order]), points))


def _fits(traced: Any, shape: tuple[int, ...], targets: Any) -> bool:
    """Whether the inputs are images of one or three channels."""
    return len(shape) == 3 and shape[-1] in CHANNELS


RECORDS = (
    Metric(
        name="pic",
        function=pic,
        better="higher",
        requires=frozenset({"model"}),
        fits=_fits,
        summary="Area under the curve of the score over the information, as the image is shown in the map's order",
        paper="Kapishnikov et al. 2019, section 4",
        cost="As many forward passes as `shares`, and 2 more; interpolation on the CPU.",
        limitations="not defined where the blur has the score of the image; the size of a file estimates information.",
    ),
)
