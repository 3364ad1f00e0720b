"""Completeness on real networks with random weights: what a map sums to, to within a hundredth of the score."""

import functools

import keras
import numpy as np
import pytest
from conftest import randomised

import keras_actmaps as kam

NETWORKS = ["grid_cnn", "cifar_cnn", "ResNet50", "VGG16", "MobileNetV2", "EfficientNetB0"]


@functools.cache
def network(name: str) -> keras.Model:
    """The network with random weights and linear outputs; the large ones on images of 64x64."""
    keras.utils.set_random_seed(0)
    if name in kam.models.MODELS:
        return randomised(kam.models.MODELS[name]())
    build = getattr(keras.applications, name)
    return build(weights=None, input_shape=(64, 64, 3), classes=10, classifier_activation=None)


def pictures(model: keras.Model, count: int = 2) -> np.ndarray:
    """Blots of random colours, from -1 to 1."""
    coarse = np.random.default_rng(0).uniform(-1, 1, (count, 6, 6, model.input_shape[-1]))
    return np.asarray(keras.ops.image.resize(coarse.astype("float32"), model.input_shape[1:3]))


@pytest.mark.parametrize("baseline", ["zero", "mean"])
@pytest.mark.parametrize("name", NETWORKS)
def test_integrated_gradients_sum_to_the_difference_in_score(name, baseline):
    model = network(name)
    images = pictures(model)
    start = images.mean((1, 2), keepdims=True) + 0 * images if baseline == "mean" else 0 * images
    e = kam.explain(model, images, "integrated_gradients", baseline=baseline, steps=8, tolerance=1e-2, batch_size=16)
    rows = np.arange(len(images))
    difference = (model.predict(images, verbose=0) - model.predict(start, verbose=0))[rows, e.targets]
    missing = np.abs(e.maps.sum((1, 2)) - difference)
    np.testing.assert_array_less(missing, 1e-2 * np.minimum(np.abs(difference), np.abs(e.scores)))
    np.testing.assert_allclose(np.abs(e.residual), missing, atol=1e-5 * np.abs(e.scores).max())
