"""Metrics of faithfulness and robustness against xplique and captum, on the same weights, images, maps and draws.

The peers' numbers were computed by make_faithfulness.py and are stored in faithfulness.npz; the bound is 1e-4 of the
largest of each array.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

import networks
import numpy as np
import pytest

import keras_actmaps as kam
from keras_actmaps import metrics
from keras_actmaps.metrics._patches import random_patches

BOUND = 1e-4
NETWORKS = ("pooled", "residual")
STORED = dict(np.load(Path(__file__).with_name("faithfulness.npz")))
STEPS = {7: {"steps": 7}, 5: {"steps": 5, "fill": 0.5, "share": 0.7}}
INPUTS = {f"{name}/{network}" for name in ("maps", "patches") for network in NETWORKS}  # not results


def inputs_of(network: str):
    """The model, its images and the stored maps as an explanation."""
    targets = np.array(networks.TARGETS[network])
    maps = STORED[f"maps/{network}"]
    return networks.keras_model(network), networks.images(network), kam.Explanation(maps, targets, targets, "saliency")


def infidelity(network: str, scaled: bool):
    """With the stored patches, which are those that the seed draws."""
    patches = STORED[f"patches/{network}"]
    np.testing.assert_array_equal(random_patches(patches.shape[1:], (2, 3), len(patches), seed=0), patches)
    return metrics.infidelity(*inputs_of(network), samples=len(patches), patch=(2, 3), scaled=scaled)


def max_sensitivity(network: str):
    model, images, _ = inputs_of(network)
    e = kam.explain(model, images, "saliency", np.array(networks.TARGETS[network]))
    return metrics.max_sensitivity(model, images, e, radius=0.05, samples=12)


def cases() -> dict[str, Callable]:
    """What computes each stored result."""
    found: dict[str, Callable] = {}
    for network, (steps, settings), score in itertools.product(NETWORKS, STEPS.items(), ("logit", "softmax")):
        name = f"(steps={steps}, {None if score == 'logit' else score})/{network}"
        for peer, area, curve in (
            ("xplique.Deletion", metrics.deletion, metrics.deletion_curve),
            ("xplique.Insertion", metrics.insertion, metrics.insertion_curve),
        ):
            for key, function in ((f"{peer}{name}", area), (f"{peer}{name}/curve", curve)):
                found[key] = lambda f=function, n=network, s=settings, score=score: f(*inputs_of(n), score=score, **s)
    for network in NETWORKS:
        for scaled in (True, False):
            found[f"captum.infidelity(normalize={scaled})/{network}"] = lambda n=network, s=scaled: infidelity(n, s)
        found[f"captum.sensitivity_max/{network}"] = lambda n=network: max_sensitivity(n)
    return found


CASES = cases()


@pytest.mark.parametrize("key", CASES)
def test_numbers_equal_those_of_the_peer(key):
    stored = STORED[key]
    found = CASES[key]()
    assert found.shape == stored.shape
    np.testing.assert_allclose(found, stored, atol=BOUND * np.abs(stored).max())


def test_every_stored_result_is_compared():
    assert set(STORED) - {"versions"} - INPUTS == set(CASES)
