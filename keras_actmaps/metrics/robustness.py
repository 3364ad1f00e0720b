"""Robustness: the change of a map under small changes of its image."""

from typing import Any

import numpy as np

from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.settings import Seed
from keras_actmaps.core.types import Array
from keras_actmaps.metrics._again import nearby_maps, validate_method_inputs
from keras_actmaps.metrics.registry import BatchSize, Metric, Radius, Samples, validated


@validated
def max_sensitivity(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    radius: Radius = 0.02,
    samples: Samples = 10,
    targets: Any = None,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
) -> Array:
    """Largest change of a map under small changes of its image, relative to the norm of the map.

    max_y |R(y) - R(x)| / |R(x)|, with y uniform in the cube |y - x|_max <= radius and |.| Euclidean (Yeh et al. 2019,
    definition 3). The division makes maps of different scales comparable; a map of zeros is not divided.

    Parameters
    ----------
    explanation : Explanation
        Its method, layer, settings and targets are used for the perturbed images.
    radius : float
        Above 0, as a share of each image's value range.
    samples : int
        Perturbed images per image, with the same noise for all images, scaled by their value ranges.
    model, images, targets, seed, batch_size
        See `keras_actmaps.metrics`.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        For settings and inputs that do not fit.

    Notes
    -----
    Costs `samples` explanations. A map that does not depend on the model, such as an edge detector's, is robust, and a
    random search misses the worst case.
    """
    inputs = validate_method_inputs(model, images, explanation, targets, batch_size)
    worst = np.zeros(len(inputs.images))
    for which, _, found in nearby_maps(inputs, explanation, radius, samples, seed):
        np.maximum.at(worst, which, _norms(found - inputs.maps[which]))
    norms = _norms(inputs.maps)
    return worst / np.where(norms > 0, norms, 1)


@validated
def local_lipschitz(
    model: Any,
    images: Any,
    explanation: Explanation,
    *,
    radius: Radius = 0.02,
    samples: Samples = 10,
    targets: Any = None,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
) -> Array:
    """Largest change of a map per change of its image: an estimate, from below, of the local Lipschitz constant.

    max_y |R(y) - R(x)| / |y - x|, with y uniform in the cube |y - x|_max <= radius and |.| Euclidean (Alvarez-Melis &
    Jaakkola 2018, eq. 3). A y equal to x is ignored.

    Parameters
    ----------
    explanation, radius, samples
        As for `max_sensitivity`.
    model, images, targets, seed, batch_size
        See `keras_actmaps.metrics`.

    Returns
    -------
    float64 array of shape (N,)

    Raises
    ------
    ValueError
        For settings and inputs that do not fit.

    Notes
    -----
    Costs `samples` explanations. Grows with the scale of the map: compare one method on several models or images, or
    scale the maps.
    """
    inputs = validate_method_inputs(model, images, explanation, targets, batch_size)
    worst = np.zeros(len(inputs.images))
    for which, nearby, found in nearby_maps(inputs, explanation, radius, samples, seed):
        distances = _norms(nearby.astype("float64") - inputs.images[which])
        changes = _norms(found - inputs.maps[which])
        np.maximum.at(worst, which, np.where(distances > 0, changes / np.where(distances > 0, distances, 1), 0))
    return worst


def _norms(arrays: Array) -> Array:
    return np.linalg.norm(arrays.reshape(len(arrays), -1), axis=1)


RECORDS = (
    Metric(
        name="max_sensitivity",
        function=max_sensitivity,
        better="lower",
        requires=frozenset({"model"}),
        summary="Largest change of a map under small changes of its image, relative to the norm of the map",
        paper="Yeh et al. 2019, definition 3",
        cost="`samples` explanations.",
        limitations="a map that does not depend on the model is robust; a random search misses the worst case.",
    ),
    Metric(
        name="local_lipschitz",
        function=local_lipschitz,
        better="lower",
        requires=frozenset({"model"}),
        summary="Largest change of a map per change of its image",
        paper="Alvarez-Melis & Jaakkola 2018, eq. 3",
        cost="`samples` explanations.",
        limitations="grows with the scale of the map.",
    ),
)
