"""The random logit test on linear models, whose maps are known, and against a loop over the other classes."""

import keras
import numpy as np
import pytest
import scipy
from helpers import gap_network, linear_network
from keras import layers

import keras_actmaps as kam
from keras_actmaps.metrics import random_logit, ssim


def test_it_is_the_mean_correlation_with_the_maps_of_all_other_classes(images):
    model, weights, _ = linear_network(images.shape[1:], classes=4)
    targets = np.array([0, 1, 2, 3, 0])
    e = kam.explain(model, images, "gradient_x_input", targets)
    maps = (images[..., None] * weights).sum(3)  # (N, H, W, classes)
    expected = [
        np.mean([scipy.stats.spearmanr(m[..., c].ravel(), m[..., k].ravel())[0] for k in range(4) if k != c])
        for m, c in zip(maps, targets)
    ]
    found = random_logit(model, images, e, similarity="spearman", samples=10)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_one_sample_is_the_map_of_one_other_class(images):
    model = gap_network()
    e = kam.explain(model, images, "gradcam", targets=1)
    others = [ssim(e, kam.explain(model, images, "gradcam", targets=k)) for k in (0, 2, 3)]
    for seed in range(4):
        found = random_logit(model, images, e, seed=seed)
        assert sum(np.allclose(found, other, atol=1e-4) for other in others) == 1


def test_a_map_that_ignores_its_class_scores_1_and_opposite_maps_less(images):
    model, weights, biases = linear_network(images.shape[1:], classes=2)
    for sign in (1, -1):
        both = np.stack([weights[..., 0], sign * weights[..., 0]], axis=-1).reshape(-1, 2)
        model.layers[-1].set_weights([both, biases])
        e = kam.explain(model, images, "gradient_x_input", targets=0)
        found = random_logit(model, images, e)
        np.testing.assert_allclose(random_logit(model, images, e, similarity="spearman"), sign, atol=1e-5)
        np.testing.assert_allclose(random_logit(model, images, e, absolute=True), 1, atol=1e-5)
        assert np.allclose(found, 1, atol=1e-5) if sign == 1 else (found < 0).all()


def test_a_single_sigmoid_has_two_opposite_sides(images):
    inputs = keras.Input(images.shape[1:])
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.Flatten()(inputs)))
    e = kam.explain(model, images, "gradient_x_input")
    np.testing.assert_allclose(random_logit(model, images, e, similarity="spearman"), -1, atol=1e-6)


@pytest.mark.usefixtures("no_passes")
def test_what_has_no_other_class_is_refused_before_any_work(images):
    zeros = kam.Explanation(np.zeros(images.shape[:3], "float32"), np.zeros(5, int), np.zeros(5), "saliency")
    with pytest.raises(ValueError, match="random_logit compares the maps of classes; targets must be classes"):
        random_logit(gap_network(), images, zeros, targets=lambda outputs: outputs[:, 0])
    with pytest.raises(ValueError, match="random_logit needs a model with 2 classes or more, and 'gap_network' has 1"):
        random_logit(gap_network(classes=1), images, zeros)
    small, e = images[:, :8], kam.Explanation(zeros.maps[:, :8], zeros.targets, zeros.scores, "saliency")
    with pytest.raises(ValueError, match=r"maps of shape \(8, 16\) are smaller than SSIM's window, 11; use similarity"):
        random_logit(gap_network((8, 16, 3)), small, e)
