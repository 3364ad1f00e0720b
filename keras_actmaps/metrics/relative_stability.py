"""Relative input stability: the relative change of a map per relative change of its image."""

from typing import Annotated, Any

import numpy as np

from keras_actmaps.backend import to_numpy
from keras_actmaps.core.batching import padded_batches
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.settings import Gt, Lt, Seed
from keras_actmaps.core.traced_model import outputs_only
from keras_actmaps.core.types import Array
from keras_actmaps.core.validation import PREDICTED
from keras_actmaps.metrics._again import nearby_maps, validate_method_inputs
from keras_actmaps.metrics._inputs import MetricInputs
from keras_actmaps.metrics.registry import BatchSize, Metric, Radius, Samples, validated

Floor = Annotated[float, Gt(0), Lt(1), "smallest divisor, as a share of the largest value"]


@validated
def relative_input_stability(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    radius: Radius = 0.02,
    samples: Samples = 10,
    floor: Floor = 0.001,
    targets: Any = None,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
) -> Array:
    """Largest relative change of a map per relative change of its image.

    max_y |(R(x) - R(y)) / R(x)| / |(x - y) / x|, with |.| Euclidean, over y uniform in the cube |y - x|_max <= radius
    that keep the predicted class (Agarwal et al. 2022). The quotients are of single pixels, so that the value
    depends neither on the scale of the map nor on that of the image.

    Parameters
    ----------
    explanation, radius, samples
        As for `max_sensitivity`.
    floor : float
        The smallest magnitude that is divided by, as a share of the largest of the map or the image; the paper does
        not say what to do at pixels of 0. Between 0 and 1.
    model, images, targets, seed, batch_size
        See `keras_actmaps.metrics`.

    Returns
    -------
    float64 array of shape (N,)
        NaN where no y keeps the predicted class; a y equal to x is ignored.

    Raises
    ------
    ValueError
        For settings and inputs that do not fit.

    Notes
    -----
    Costs `samples` explanations and `samples` + 1 forward passes. Pixels near 0 in the map outweigh the others.
    """
    inputs = validate_method_inputs(model, images, explanation, targets, batch_size)
    predicted = _predicted(inputs, inputs.images)
    worst = np.full(len(inputs.images), np.nan)
    for which, nearby, found in nearby_maps(inputs, explanation, radius, samples, seed):
        changes = _relative_norms(inputs.maps[which], found, floor)
        distances = _relative_norms(inputs.images[which].astype("float64"), nearby, floor)
        slopes = np.where(distances > 0, changes / np.where(distances > 0, distances, 1), 0)
        is_same = _predicted(inputs, nearby) == predicted[which]
        np.fmax.at(worst, which[is_same], slopes[is_same])
    return worst


def _relative_norms(arrays: Array, others: Array, floor: float) -> Array:
    """The norms (M,) of (others - arrays) / arrays, whose magnitudes are at least `floor` times the largest."""
    arrays, others = arrays.reshape(len(arrays), -1), others.reshape(len(others), -1)
    largest = np.abs(arrays).max(axis=1, keepdims=True)
    divisors = np.maximum(np.abs(arrays), floor * np.where(largest > 0, largest, 1 / floor))
    return np.linalg.norm((others - arrays) / divisors, axis=1)


def _predicted(inputs: MetricInputs, images: Array) -> Array:
    """The predicted classes (M,) of images; 0 for a model without classes."""
    if inputs.traced.classes is None:
        return np.zeros(len(images))
    found, size = [], inputs.context.padded_size
    for (batch,), real in padded_batches([images], size):
        unknown = np.full(size, PREDICTED, "int32")
        _, predicted, _ = inputs.traced.run(outputs_only, batch, unknown, context=inputs.context)
        found.append(to_numpy(predicted)[:real])
    return np.concatenate(found)


RECORDS = (
    Metric(
        name="relative_input_stability",
        function=relative_input_stability,
        better="lower",
        requires=frozenset({"model"}),
        summary="Largest relative change of a map per relative change of its image",
        paper="Agarwal et al. 2022",
        cost="`samples` explanations, and `samples` + 1 forward passes.",
        limitations="pixels near 0 in the map outweigh the others; a random search misses the worst case.",
    ),
)
