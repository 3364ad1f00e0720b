"""The real images with the highest scores, against a full sort."""

import keras
import numpy as np
import pytest
from helpers import gap_network

import keras_actmaps as kam
from keras_actmaps.features.top_images import top_images

IMAGES = np.random.default_rng(0).random((23, 12, 16, 3), "float32")
IMAGES[7] = IMAGES[19] = IMAGES[11]  # ties


@pytest.mark.parametrize("size", [1, 5, 23])
def test_the_result_is_that_of_all_scores_at_once_for_any_batch_size(size):
    model = gap_network()
    scores = model.predict(IMAGES, verbose=0)
    batches = [IMAGES[start : start + size] for start in range(0, 23, size)]
    best = top_images(model, batches, "all")
    np.testing.assert_array_equal(best.indices, scores.argmax(axis=0))
    np.testing.assert_allclose(best.scores, scores.max(axis=0), rtol=1e-4)
    np.testing.assert_array_equal(best.images, IMAGES[scores.argmax(axis=0)])
    assert best.count == 23 and best.median == pytest.approx(np.median(batches[0]))


def test_of_equal_scores_the_first_image_is_kept():
    model = gap_network()
    best = top_images(model, [IMAGES[[11, 7]], IMAGES[[19]]], "all")
    assert best.indices.tolist() == [0, 0, 0, 0]


def test_channels_and_neurons():
    model = gap_network()
    features = keras.Model(model.inputs, model.get_layer("features").output).predict(IMAGES, verbose=0)
    best = top_images(kam.Probe(model, "features"), [IMAGES], [5, 1], "features")
    np.testing.assert_allclose(best.scores, features.mean(axis=(1, 2)).max(axis=0)[[5, 1]], rtol=1e-4)
    best = top_images(model, [IMAGES], (3, 2, 1), "features")
    np.testing.assert_allclose(best.scores, features[:, 3, 2, 1].max(), rtol=1e-4)


def test_no_images():
    with pytest.raises(ValueError, match="the dataset has no images"):
        top_images(gap_network(), [], 0)
