"""Coherency: whether the image masked by its map has the same map."""

from typing import Any

import numpy as np

from keras_actmaps.core.attribution import rows_of
from keras_actmaps.core.batching import padded_batches
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.methods._baselines import Fill, baseline_for
from keras_actmaps.metrics._again import explain_again, validate_method_inputs
from keras_actmaps.metrics._inputs import unit_range
from keras_actmaps.metrics._ranks import correlation
from keras_actmaps.metrics.registry import BatchSize, Metric, validated


@validated
def coherency(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    fill: Fill = "zero",
    targets: Any = None,
    batch_size: BatchSize = 32,
) -> Array:
    """Correlation of the map with the map of the image masked by it, scaled to [0, 1].

    (1 + corr(R(x), R(m x + (1 - m) fill))) / 2, with m the map scaled to [0, 1] and Pearson's correlation over the
    pixels, which is 0 where either is constant (Poppi et al. 2021, who hide with black).

    Parameters
    ----------
    explanation : Explanation
        Its method, layer, settings and targets are used for the masked images.
    model, images, fill, targets, batch_size
        See `keras_actmaps.metrics`.

    Returns
    -------
    float64 array of shape (N,)
        1/2 for an unrelated or a constant map.

    Raises
    ------
    ValueError
        For settings and inputs that do not fit.

    Notes
    -----
    Costs one explanation. A map that does not depend on the image, such as one of its center, is coherent.
    """
    inputs = validate_method_inputs(model, images, explanation, targets, batch_size)
    masks = unit_range(inputs.maps).astype("float32")
    masks = masks.reshape(*masks.shape, *(1,) * (inputs.images.ndim - masks.ndim))
    masked = masks * inputs.images + (1 - masks) * baseline_for(inputs.images, fill)
    found = []
    for (rows, batch), real in padded_batches([np.arange(len(masked)), masked], batch_size):
        again = explain_again(inputs, explanation, batch, rows_of(inputs.targets, rows))[:real]
        found.append(correlation(*(maps.reshape(real, -1) for maps in (inputs.maps[rows[:real]], again))))
    return (1 + np.concatenate(found)) / 2


RECORDS = (
    Metric(
        name="coherency",
        function=coherency,
        better="higher",
        requires=frozenset({"model"}),
        summary="Correlation of the map with the map of the image masked by it, scaled to [0, 1]",
        paper="Poppi et al. 2021",
        cost="One explanation.",
        limitations="a map that does not depend on the image is coherent.",
    ),
)
