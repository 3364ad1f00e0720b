"""Metrics against Quantus and xplique on the same weights, images and maps.

The peers' numbers were computed by make_metrics.py and are stored in metrics.npz; the bound is 1e-4 of the largest of
each array.
"""

from pathlib import Path

import networks
import numpy as np
import pytest
from helpers.metrics import softmax
from make_metrics import GRIDS, RADIUS, SAMPLES, labels_for

import keras_actmaps as kam
from keras_actmaps import metrics
from keras_actmaps.metrics import fidelity

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


def irof(network: str) -> np.ndarray:
    """As a sum over the segments, from the first removed one on, where Quantus' curve starts."""
    model, images, labels = networks.keras_model(network), networks.images(network), labels_for(network)
    targets, maps = np.array(networks.TARGETS[network]), STORED[f"maps/{network}"]
    e = kam.Explanation(maps, targets, targets, "saliency")
    areas = metrics.irof(model, images, e, segments=labels, fill=0.3)
    means = [[values[labels == number].mean() for number in range(6)] for values in maps]
    hidden = np.stack([np.where((labels == np.argmax(m))[..., None], 0.3, x) for x, m in zip(images, means)])
    logits = networks.keras_model(network, linear=True).predict(np.concatenate([images, hidden]), verbose=0)
    whole, first = softmax(logits)[np.arange(4), np.tile(targets, 2)].reshape(2, 2)
    return 6 * areas + (1 + first / whole) / 2


def mu_fidelity(network: str, monkeypatch) -> np.ndarray:
    """With the sets that xplique has drawn, of one size or not."""
    monkeypatch.setattr(fidelity, "random_sets", lambda *_: STORED[f"sets/{network}"])
    targets, maps = np.array(networks.TARGETS[network]), STORED[f"maps/{network}"]
    patch = tuple(side // GRIDS[network] for side in maps.shape[1:])
    e = kam.Explanation(maps, targets, targets, "saliency")
    return metrics.mu_fidelity(networks.keras_model(network), networks.images(network), e, patch=patch)


def relative_input_stability(network: str) -> np.ndarray:
    """Without a floor under the divisors, as in Quantus."""
    return metrics.relative_input_stability(*explained(network), radius=RADIUS, samples=SAMPLES, floor=1e-9)


def effective_complexity(network: str) -> np.ndarray:
    """Of the maps with 0 where their magnitude is below 1."""
    maps, targets = STORED[f"maps/{network}"], np.array(networks.TARGETS[network])
    e = kam.Explanation(np.where(np.abs(maps) > 1, maps, 0), targets, targets, "saliency")
    return metrics.effective_complexity(e, threshold=0.5)


CASES = {
    "quantus.RelativeInputStability": relative_input_stability,
    "quantus.EffectiveComplexity": effective_complexity,
    "quantus.RandomLogit": random_logit,
    "quantus.IROF": irof,
    "xplique.AverageGain": average_gain,
    "xplique.MuFidelity": mu_fidelity,
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", CASES)
def test_numbers_equal_those_of_the_peer(name, network, monkeypatch):
    function, expected = CASES[name], STORED[f"{name}/{network}"]
    found = function(network, monkeypatch) if function is mu_fidelity else function(network)
    if function is random_logit:
        expected = expected.mean(axis=0)  # of all other classes
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=BOUND * np.abs(expected).max())


def test_every_stored_result_is_compared():
    results = {key.rsplit("/", 1)[0] for key in STORED} - {"versions", "maps", "sets"}
    assert results == set(CASES)
