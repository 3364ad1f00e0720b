"""The maps of other images or targets by the method that made an explanation."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_actmaps.core.attribution import rows_of
from keras_actmaps.core.batching import padded_batches
from keras_actmaps.core.explanation import Explanation
from keras_actmaps.core.types import Array
from keras_actmaps.methods._noise import noise_strength
from keras_actmaps.methods.explain import explain
from keras_actmaps.methods.registry import find_method
from keras_actmaps.metrics._inputs import MetricInputs, validate_inputs


def validate_method_inputs(
    model: Any, images: Any, explanation: Explanation, targets: Any, batch_size: int
) -> MetricInputs:
    """As `validate_inputs`, for metrics that explain again: at the layer, and with the target, of the explanation."""
    targets = find_method(explanation.method).target_of(targets)
    return validate_inputs(model, images, explanation, targets, batch_size, explanation.layer)


def explain_again(inputs: MetricInputs, explanation: Explanation, images: Array, targets: Any) -> Array:
    """The maps (M, *space) in float64 of images (M, ...), channels last, with the explanation's method and settings."""
    known = find_method(explanation.method).settings  # not `perturb` and `input`: the model varies one input already
    settings = {name: value for name, value in explanation.settings.items() if name in known}
    own_layout = np.moveaxis(images, -1, 1) if inputs.traced.is_channels_first else images
    size = inputs.context.batch_size
    again = explain(inputs.traced, own_layout, explanation.method, targets, batch_size=size, **settings)
    return again.maps.astype("float64")


def nearby_maps(
    inputs: MetricInputs, explanation: Explanation, radius: float, samples: int, seed: int
) -> Iterator[tuple[Array, Array, Array]]:
    """(image index (M,), perturbed images, their maps), for every image and sample.

    The noise is uniform in the cube of this radius, a share of the image's value range, and the same for all images.
    """
    images, context = inputs.images, inputs.context
    reach = noise_strength(images, radius)
    generators = [np.random.default_rng([seed, number]) for number in range(samples)]
    drawn = np.stack([generator.uniform(-1, 1, images.shape[1:]).astype("float32") for generator in generators])
    image_of = np.tile(np.arange(len(images)), samples)
    sample_of = np.repeat(np.arange(samples), len(images))
    for (which, sample), real in padded_batches([image_of, sample_of], context.batch_size):
        nearby = images[which] + reach[which] * drawn[sample]
        found = explain_again(inputs, explanation, nearby, rows_of(inputs.targets, which))
        yield which[:real], nearby[:real], found[:real]
