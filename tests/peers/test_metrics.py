"""Metrics against Quantus and xplique on the same weights, images and maps.

The peers' numbers were computed by make_metrics.py and are stored in metrics.npz; the bound is 1e-4 of the largest of
each array.
"""

from pathlib import Path

import networks
import numpy as np
import pytest

import keras_actmaps as kam
from keras_actmaps import metrics

BOUND = 1e-4
NETWORKS = networks.PICTURES
STORED = dict(np.load(Path(__file__).with_name("metrics.npz")))


def explained(network: str) -> tuple:
    """The model, its images, and the maps that the peers were given: gradient times input."""
    model, images = networks.keras_model(network), networks.images(network)
    return model, images, kam.explain(model, images, "gradient_x_input", np.array(networks.TARGETS[network]))


def stored_maps(network: str, targets: np.ndarray) -> kam.Explanation:
    """The magnitudes of the stored maps as an explanation."""
    return kam.Explanation(np.abs(STORED[f"maps/{network}"]), targets, targets, "saliency")


def random_logit(network: str) -> np.ndarray:
    """The mean over all other classes."""
    return metrics.random_logit(*explained(network), similarity="spearman", samples=10)


def average_gain(network: str) -> np.ndarray:
    """For each class as the target."""
    model, images = networks.keras_model(network), networks.images(network)
    classes = model.output_shape[-1]
    return np.array([metrics.average_gain(model, images, stored_maps(network, np.full(2, c))) for c in range(classes)])


CASES = {
    "quantus.RandomLogit": (random_logit, lambda stored: stored.mean(axis=0)),
    "xplique.AverageGain": (average_gain, lambda stored: stored),
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", CASES)
def test_numbers_equal_those_of_the_peer(name, network):
    function, expected_of = CASES[name]
    found, expected = function(network), expected_of(STORED[f"{name}/{network}"])
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=BOUND * np.abs(expected).max())


def test_every_stored_result_is_compared():
    results = {key.rsplit("/", 1)[0] for key in STORED} - {"versions", "maps"}
    assert results == set(CASES)
