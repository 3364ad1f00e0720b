"""LRP-0 and DeepLIFT on random networks, against gradient x input of their mirrors and differences of scores.

`NETWORKS=40 python -m pytest tests/methods/rules/test_random_networks.py` tests 40 of them.
"""

import os

import numpy as np
import pytest
from helpers import array, gradient_of
from helpers.random_networks import PRECISE, random_network

import keras_actmaps as kam

SEEDS = range(int(os.environ.get("NETWORKS", "4")))


@pytest.mark.parametrize("seed", SEEDS)
def test_random_networks(seed):
    model, mirror, images = random_network(seed)
    exact = images.astype(PRECISE)
    scores = array(mirror(exact))
    np.testing.assert_allclose(array(model(images)), scores, rtol=1e-3, atol=1e-3 * np.abs(scores).max())

    lrp = kam.explain(model, images, "lrp", targets=1, rule="0", channels="keep")
    expected = exact * gradient_of(lambda x: mirror(x)[:, 1], exact)
    np.testing.assert_allclose(lrp.maps, expected, atol=2e-3 * np.abs(expected).max())

    deeplift = kam.explain(model, images, "deeplift", targets=1, channels="keep", baseline=0.1)
    start = np.full_like(exact, 0.1)
    difference = array(mirror(exact) - mirror(start))[:, 1]
    scale = np.abs(deeplift.maps).sum(axis=tuple(range(1, images.ndim)))
    assert (np.abs(deeplift.maps.sum(axis=tuple(range(1, images.ndim))) - difference) <= 1e-3 * (1 + scale)).all()
