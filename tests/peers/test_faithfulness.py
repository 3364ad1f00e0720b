"""Metrics of faithfulness and robustness against xplique and captum, on the same weights, images, maps and draws.

The peers' numbers were computed by make_faithfulness.py and are stored in faithfulness.npz; the bound is 1e-4 of the
largest of each array.
"""

from pathlib import Path

import networks
import numpy as np
import pytest

import keras_actmaps as kam
from keras_actmaps import metrics
from keras_actmaps.metrics.additivity import random_patches

BOUND = 1e-4
PICTURES = ("pooled", "residual")
STORED = dict(np.load(Path(__file__).with_name("faithfulness.npz")))
CURVES = {
    "xplique.Deletion": (metrics.deletion, metrics.deletion_curve),
    "xplique.Insertion": (metrics.insertion, metrics.insertion_curve),
}
RUNS = {7: {"steps": 7}, 5: {"steps": 5, "fill": 0.5, "share": 0.7}}


def asked(network: str):
    """The model, its images and the stored maps as an explanation."""
    targets = np.array(networks.TARGETS[network])
    maps = STORED[f"maps/{network}"]
    return networks.keras_model(network), networks.images(network), kam.Explanation(maps, targets, targets, "given")


def close(found, stored):
    np.testing.assert_allclose(found, stored, atol=BOUND * np.abs(stored).max())


@pytest.mark.parametrize("network", PICTURES)
@pytest.mark.parametrize("score", ["logit", "softmax"])
@pytest.mark.parametrize("steps", RUNS)
@pytest.mark.parametrize("peer", CURVES)
def test_curves_and_areas_are_those_of_xplique(peer, steps, score, network):
    area_of, curve_of = CURVES[peer]
    key = f"{peer}(steps={steps}, {None if score == 'logit' else score})/{network}"
    close(curve_of(*asked(network), score=score, **RUNS[steps]), STORED[f"{key}/curve"])
    close(area_of(*asked(network), score=score, **RUNS[steps]), STORED[key])


@pytest.mark.parametrize("network", PICTURES)
@pytest.mark.parametrize("scaled", [True, False])
def test_infidelity_is_that_of_captum(scaled, network):
    patches = STORED[f"patches/{network}"]
    drawn = random_patches(patches.shape[1:], (2, 3), len(patches), seed=0)
    np.testing.assert_array_equal(drawn, patches)
    found = metrics.infidelity(*asked(network), samples=len(patches), patch=(2, 3), scaled=scaled)
    close(found, STORED[f"captum.infidelity(normalize={scaled})/{network}"])


@pytest.mark.parametrize("network", PICTURES)
def test_max_sensitivity_is_that_of_captum(network):
    model, images, _ = asked(network)
    e = kam.explain(model, images, "saliency", np.array(networks.TARGETS[network]))
    found = metrics.max_sensitivity(model, images, e, radius=0.05, samples=12)
    close(found, STORED[f"captum.sensitivity_max/{network}"])


def test_every_stored_number_is_compared():
    compared = 2 * len(PICTURES) * 2 * 2 * 2 + len(PICTURES) * (1 + 1 + 2 + 1)  # curves; maps, patches, captum's
    assert len(STORED) - 1 == compared
