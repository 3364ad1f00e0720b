"""How much a map changes where its image hardly does."""

import numbers
from collections.abc import Iterator

import numpy as np

from keras_actmaps.core.batching import padded_batches
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.methods.explain import explain
from keras_actmaps.methods.registry import check_count, check_seed
from keras_actmaps.metrics.registry import lower_is_better, question


@lower_is_better
def max_sensitivity(model, images, explanation, *, radius=0.02, samples=10, targets=None, seed=0, batch_size=32):
    """The greatest change of a map near its image (Yeh et al. 2019, definition 3): (N,), in the norm of the map.

    max_y |R(y) - R(x)| / |R(x)|, y uniform in the cube |y - x|_max <= radius, |.| Euclidean; the division makes maps of
    different scales comparable. A map of 0 is not divided. The target stays that of the explanation.

    radius: in each image's value range. The maps are made again by the explanation's method, layer and settings.
    samples, seed, targets, batch_size: see `metrics`.
    Cost: that of the method, `samples` times.
    Fails: a map that hangs on nothing, such as an edge detector, is robust; a random search misses the worst.
    """
    probe, images, maps, targets = _question(model, images, explanation, targets, batch_size, radius, samples, seed)
    worst = np.zeros(len(images))
    for which, _, found in _nearby(probe, images, explanation, targets, radius, samples, seed):
        np.maximum.at(worst, which, _norms(found - maps[which]))
    norms = _norms(maps)
    return worst / np.where(norms > 0, norms, 1)


@lower_is_better
def local_lipschitz(model, images, explanation, *, radius=0.02, samples=10, targets=None, seed=0, batch_size=32):
    """The greatest change of a map for a change of its image (Alvarez-Melis & Jaakkola 2018, eq. 3): (N,).

    max_y |R(y) - R(x)| / |y - x|, y uniform in the cube |y - x|_max <= radius, |.| Euclidean: an estimate, from below,
    of the Lipschitz constant near x. A y that is x itself counts 0.

    radius: in each image's value range. The maps are made again by the explanation's method, layer and settings.
    samples, seed, targets, batch_size: see `metrics`.
    Cost: that of the method, `samples` times.
    Fails: grows with the scale of the map; compare one method on several models or images, or scale the maps.
    """
    probe, images, maps, targets = _question(model, images, explanation, targets, batch_size, radius, samples, seed)
    worst = np.zeros(len(images))
    for which, nearby, found in _nearby(probe, images, explanation, targets, radius, samples, seed):
        distances = _norms(nearby.astype("float64") - images[which])
        changes = _norms(found - maps[which])
        np.maximum.at(worst, which, np.where(distances > 0, changes / np.where(distances > 0, distances, 1), 0))
    return worst


def _question(model, images, explanation: Explanation, targets, batch_size, radius, samples, seed):
    if not isinstance(radius, numbers.Real) or radius <= 0:
        raise ValueError(f"radius={radius!r} is no distance; give more than 0")
    check_count("samples", samples)
    check_seed(seed)
    return question(model, images, explanation, targets, batch_size, explanation.layer)


def _nearby(
    probe, images, explanation: Explanation, targets, radius, samples, seed
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(which image, an image near it, the map of that), M at a time, for every image and sample.

    The noise of sample s is the same for all images but for its strength.
    """
    axes = tuple(range(1, images.ndim))
    reach = radius * (images.max(axis=axes, keepdims=True) - images.min(axis=axes, keepdims=True))
    randoms = [np.random.default_rng([seed, number]) for number in range(samples)]
    drawn = np.stack([random.uniform(-1, 1, images.shape[1:]).astype("float32") for random in randoms])
    image_of = np.tile(np.arange(len(images)), samples)
    sample_of = np.repeat(np.arange(samples), len(images))
    for (which, sample), real in padded_batches([image_of, sample_of], probe.batch_size):
        nearby = images[which] + reach[which] * drawn[sample]
        asked = targets if callable(targets) else targets[which]
        given = np.moveaxis(nearby, -1, 1) if probe.is_channels_first else nearby  # as the user's model takes them
        again = explain(probe, given, explanation.method, asked, batch_size=probe.batch_size, **explanation.settings)
        yield which[:real], nearby[:real], again.maps[:real].astype("float64")


def _norms(arrays: np.ndarray) -> np.ndarray:
    return np.linalg.norm(arrays.reshape(len(arrays), -1), axis=1)
