"""Fidelity on linear models, whose losses are sums of the true map, and against a loop over the same sets."""

import numpy as np
import pytest
import scipy
from helpers import gap_network, linear_network
from helpers.metrics import explanation_of

from keras_actmaps.metrics import mu_fidelity, sensitivity_n
from keras_actmaps.metrics._patches import random_sets


def test_a_monotonic_function_of_the_true_sums_has_rank_correlation_1(images):
    model, weights, biases = linear_network(images.shape[1:])
    weights = weights / 20  # so that the sigmoid does not saturate
    model.layers[-1].set_weights([weights.reshape(-1, 2), biases])
    true = explanation_of((images * weights[..., 0]).sum(-1))
    settings = {"patch": 4, "samples": 30}
    np.testing.assert_allclose(mu_fidelity(model, images, true, **settings), 1, atol=1e-9)
    grown = mu_fidelity(model, images, true, score="sigmoid", **settings)  # Y - sigmoid(Y - loss) rises with the loss
    assert (grown > 0.999).all()
    assert (mu_fidelity(model, images, true, score="sigmoid", statistic="pearson", **settings) < grown).all()


@pytest.mark.parametrize("statistic", ["spearman", "pearson"])
def test_values_equal_those_of_scipy(images, statistic):
    model, maps = gap_network(), np.random.default_rng(2).normal(size=images.shape[:3])
    found = mu_fidelity(
        model, images, explanation_of(maps, 1), patch=(3, 4), share=0.4, samples=20, statistic=statistic, fill="mean"
    )
    labels = np.arange(12)[:, None] // 3 * 4 + np.arange(16) // 4
    hidden = random_sets(16, 6, 20, 0)[:, labels]
    assert (hidden.sum((1, 2)) == 6 * 12).all()
    for image, importance, value in zip(images, maps, found):
        variants = np.where(hidden[..., None], image.mean((0, 1)), image).astype("float32")
        losses = model.predict(image[None], verbose=0)[0, 1] - model.predict(variants, verbose=0)[:, 1]
        sums = (importance * hidden).sum((1, 2))
        assert value == pytest.approx(getattr(scipy.stats, f"{statistic}r")(sums, losses)[0], abs=2e-4)


def test_pearsons_correlation_is_sensitivity_n(images):
    model, e = gap_network(), explanation_of(images.mean(-1), 2)
    found = mu_fidelity(model, images, e, patch=4, share=0.25, samples=10, statistic="pearson")
    np.testing.assert_allclose(found, sensitivity_n(model, images, e, patch=4, n=3, samples=10), atol=1e-9)


def test_maps_that_sum_to_the_same_over_all_sets_score_0(images):
    e = explanation_of(np.full(images.shape[:3], 0.1), 1)
    np.testing.assert_array_equal(mu_fidelity(gap_network(), images, e, patch=4, samples=10), 0)
