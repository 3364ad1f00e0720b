"""The stored numbers of the peers, computed again by those that are installed (see requirements.txt)."""

import importlib.util
from pathlib import Path

import make_agreement
import make_faithfulness
import make_guided_ig
import make_metrics
import make_peers
import make_xrai
import networks
import numpy as np
import pytest
from helpers import BACKEND

HERE = Path(__file__).parent
STORED = ("peers", "faithfulness", "agreement", "xrai", "guided_ig")
MAPS, METRICS, AGREEMENT, XRAI, GUIDED_IG = (dict(np.load(HERE / f"{name}.npz")) for name in STORED)
MORE_METRICS = dict(np.load(HERE / "metrics.npz"))
NEEDED = {
    "captum": ("torch", "captum"),
    "zennit": ("torch", "zennit"),
    "grad-cam": ("torch", "pytorch_grad_cam"),
    "quantus": ("torch", "quantus", "cachetools"),
    "xplique": ("tensorflow", "xplique"),
}
BOUNDS = {
    "captum": 1e-6,
    "zennit": 1e-6,
    "grad-cam": 1e-6,
    "quantus": 1e-5,
    "xplique": 1e-5,
}  # xplique computes in float32
CASES = sorted({(key.split(".")[0], key.rsplit("/", 1)[1]) for key in MAPS if "." in key})


def require(*modules):
    """Skip the test where one of the modules is not installed."""
    for name in modules:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install --no-deps -r tests/peers/requirements.txt")


def require_peer(peer):
    """Skip the test where a peer cannot be run."""
    require(*NEEDED[peer])
    if peer == "xplique" and BACKEND != "tensorflow":
        pytest.skip("xplique runs Keras on TensorFlow only")


def close(found, stored, bound):
    assert found.shape == stored.shape
    assert np.abs(found - stored).max() <= bound * np.abs(stored).max()


@pytest.mark.parametrize("network", networks.NETWORKS)
def test_pytorch_gives_the_stored_logits(network):
    require("torch")
    (found,) = make_peers.logits_of(network).values()
    close(found, MAPS[f"logits/{network}"], 1e-6)


@pytest.mark.parametrize(("peer", "network"), CASES)
def test_peers_give_the_stored_maps(peer, network):
    require_peer(peer)
    stored = {key: maps for key, maps in MAPS.items() if key.startswith(f"{peer}.") and key.endswith(f"/{network}")}
    found = make_peers.maps_of(peer, network)
    assert found.keys() == stored.keys()
    for key in stored:
        close(found[key], stored[key], BOUNDS[peer])


@pytest.mark.parametrize("network", networks.PICTURES)
@pytest.mark.parametrize("peer", make_faithfulness.METRICS)
def test_peers_give_the_stored_metrics(peer, network):
    require_peer(peer)
    stored = {key: values for key, values in METRICS.items() if key.startswith(peer) and f"/{network}" in key}
    found = dict(make_faithfulness.METRICS[peer](network))
    assert found.keys() == stored.keys()
    for key in stored:
        close(found[key], stored[key], BOUNDS[peer])


@pytest.mark.parametrize("network", networks.PICTURES)
@pytest.mark.parametrize("peer", make_metrics.METRICS)
def test_peers_give_more_stored_metrics(peer, network):
    require_peer(peer)
    found = dict(make_metrics.METRICS[peer](network))
    stored = {key for key in MORE_METRICS if key.startswith(f"{peer}.") and key.endswith(f"/{network}")}
    sets = f"sets/{network}"  # of pixels, which xplique draws
    if sets in found:
        np.testing.assert_array_equal(found.pop(sets), MORE_METRICS[sets])
    assert found.keys() == stored
    for key in stored:
        close(found[key], MORE_METRICS[key], BOUNDS[peer])


@pytest.mark.parametrize("network", networks.PICTURES)
def test_stored_maps_and_patches_of_the_metrics_are_those_of_their_seeds(network):
    np.testing.assert_array_equal(make_faithfulness.maps_for(network), METRICS[f"maps/{network}"])
    np.testing.assert_array_equal(make_faithfulness.patches_for(network), METRICS[f"patches/{network}"])


@pytest.mark.parametrize(("key", "module"), [("spearman", "scipy"), ("ssim", "skimage")])
def test_scipy_and_scikit_image_give_the_stored_agreement(key, module):
    require(module)
    found = getattr(make_agreement, key)(AGREEMENT["maps"], AGREEMENT["others"])
    np.testing.assert_allclose(found, AGREEMENT[key], rtol=1e-6, atol=1e-9)


def test_the_package_of_xrais_authors_gives_the_stored_maps():
    require("saliency", "skimage")
    for key, arrays in make_xrai.computed().items():
        np.testing.assert_allclose(arrays, XRAI[key], rtol=1e-6, atol=1e-9)


def test_the_package_of_the_authors_of_guided_ig_gives_the_stored_maps():
    require("saliency")
    for key, arrays in make_guided_ig.computed().items():
        np.testing.assert_allclose(arrays, GUIDED_IG[key], rtol=1e-6, atol=1e-9)
