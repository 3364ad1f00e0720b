"""Random logit test: whether the map of a class differs from the maps of other classes."""

from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np

from keras_actmaps.core.batching import padded_batches
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.settings import Seed
from keras_actmaps.core.types import Array
from keras_actmaps.metrics._again import explain_again, validate_method_inputs
from keras_actmaps.metrics._inputs import MetricInputs
from keras_actmaps.metrics.agreement import RADIUS, spearman, ssim
from keras_actmaps.metrics.registry import Absolute, BatchSize, Metric, Samples, validated

Similarity = Annotated[Literal["ssim", "spearman"], "similarity of two maps: SSIM or rank correlation"]
WINDOW = 2 * RADIUS + 1


@validated
def random_logit(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    similarity: Similarity = "ssim",
    absolute: Absolute = False,
    samples: Samples = 1,
    targets: Any = None,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
) -> Array:
    """Similarity of the map of a class to those of other classes of the same image, in [-1, 1].

    mean_k sim(R_c(x), R_k(x)) over random classes k other than c (Sixt et al. 2020). A map that does not
    change with the class that it is said to explain shows the image rather than the decision.

    Parameters
    ----------
    explanation : Explanation
        Its method, layer and settings are used for the other classes.
    similarity : {"ssim", "spearman"}
        See `agreement`; "ssim" needs images of 11 pixels or more along each axis.
    absolute : bool
        Compare magnitudes, for maps that change only their sign, as those of two classes with opposite weights do.
    samples : int
        Other classes per image, at most all of them; each is the image's class plus a random number, modulo the number
        of classes, and these numbers are the same for all images.
    model, images, targets, seed, batch_size
        See `keras_actmaps.metrics`.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        For targets that are not classes, a model with a single class, images that are too small for SSIM, and for
        settings and inputs that do not fit.

    Notes
    -----
    Costs `samples` explanations. A map of noise passes. For two classes with opposite logits, as of a single sigmoid,
    the maps of many methods differ only in their sign.
    """
    inputs = validate_method_inputs(model, images, explanation, targets, batch_size)
    classes = _count_classes(inputs, similarity)
    shifts = 1 + np.random.default_rng(seed).permutation(classes - 1)[:samples]
    image_of = np.tile(np.arange(len(inputs.images)), len(shifts))
    others = (inputs.targets[image_of] + np.repeat(shifts, len(inputs.images))) % classes
    maps = []
    for (which, other), real in padded_batches([image_of, others], batch_size):
        maps.append(explain_again(inputs, explanation, inputs.images[which], other)[:real])
    same = explanation[image_of]
    again = replace(same, maps=np.concatenate(maps).astype("float32"), targets=others.astype("int64"))
    measure = {"ssim": ssim, "spearman": spearman}[similarity]
    return measure(same, again, absolute=absolute).reshape(len(shifts), -1).mean(axis=0)


def _count_classes(inputs: MetricInputs, similarity: str) -> int:
    """The number of classes; ValueError where an image has no other class, or its map has no window of SSIM."""
    name, classes = inputs.traced.name, inputs.traced.classes
    if callable(inputs.targets):
        raise ValueError("random_logit compares the maps of classes; targets must be classes, got a function")
    if classes is None or classes < 2:
        raise ValueError(f"random_logit needs a model with 2 classes or more, and {name!r} has {classes or 'none'}")
    space = inputs.maps.shape[1:]
    if similarity == "ssim" and min(space) < WINDOW:
        raise ValueError(f"maps of shape {space} are smaller than SSIM's window, {WINDOW}; use similarity='spearman'")
    return classes


def _fits(traced: Any, shape: tuple[int, ...], targets: Any) -> bool:
    """Whether there are other classes, and images as large as SSIM's window."""
    return not callable(targets) and (traced.classes or 0) > 1 and min(shape[:-1], default=0) >= WINDOW


RECORDS = (
    Metric(
        name="random_logit",
        function=random_logit,
        better="lower",
        requires=frozenset({"model"}),
        fits=_fits,
        summary="Similarity of the map of a class to those of other classes of the same image",
        paper="Sixt et al. 2020",
        cost="`samples` explanations.",
        limitations="a map of noise passes; opposite logits give maps that differ in their sign only.",
    ),
)
