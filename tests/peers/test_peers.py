"""The methods against captum, zennit, pytorch-grad-cam and xplique, on the same weights and images.

The peers' numbers were computed by make_peers.py and are stored in peers.npz. All stored numbers are compared, with the
same bound: 1e-4 of the map's largest magnitude. test_regenerate.py computes them again.
"""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import networks
import numpy as np
import pytest
from helpers import array, raw_maps

import keras_actmaps as kam

BOUND = 1e-4
RELUS = ("pooled", "residual", "table")  # networks without ReLU6 and leaky ReLU, for which captum has no rule
STORED = dict(np.load(Path(__file__).with_name("peers.npz")))
SCORES = {
    name: np.take_along_axis(STORED[f"logits/{name}"], np.array(networks.TARGETS[name])[:, None], axis=1)[:, 0]
    for name in networks.NETWORKS
}


@dataclass(frozen=True)
class Row:
    """A peer's map, and the method and settings that must give the same.

    ours: the expected maps, from the peer's maps and the targets' scores, where the two differ for a `reason`.
    at_layer: the map is that of the network's last spatial layer, not of the image.
    """

    peer: str
    method: str
    settings: dict = field(default_factory=dict)
    networks: tuple[str, ...] = networks.PICTURES
    at_layer: bool = False
    ours: Callable = lambda maps, scores: maps
    reason: str = ""


def relu(maps, scores):
    return np.maximum(maps, 0)


def cam(peer: str, method: str, **keywords) -> Row:
    """A row of pytorch-grad-cam: its get_cam_image leaves the ReLU to the caller, our methods end with it."""
    return Row(f"grad-cam.{peer}", method, **{"ours": relu, "at_layer": True, "reason": "ReLU follows", **keywords})


KEEP = {"channels": "keep"}
SIX = np.arange(12)[:, None] // 4 * 2 + np.arange(8) // 4  # segments of 4x4 pixels

GRADIENTS = [
    Row("captum.Saliency", "saliency", KEEP, networks.NETWORKS),
    Row("captum.InputXGradient", "gradient_x_input", KEEP, networks.NETWORKS),
    Row("captum.IntegratedGradients(n_steps=3)", "integrated_gradients", {"steps": 3, **KEEP}, networks.NETWORKS),
    Row("captum.IntegratedGradients(n_steps=32)", "integrated_gradients", {"steps": 32, **KEEP}, networks.NETWORKS),
    Row("captum.GuidedBackprop", "guided_backprop", KEEP, RELUS),
    Row("captum.Deconvolution", "deconvnet", KEEP, RELUS),
    Row("captum.DeepLift", "deeplift", KEEP, RELUS),
    *(
        Row("captum.DeepLift(baseline)", "deeplift", {"baseline": networks.baseline(n), **KEEP}, (n,))
        for n in RELUS[1:]
    ),
    *(
        Row("captum.DeepLiftShap", "deeplift_shap", {"baselines": networks.baselines(n), **KEEP}, (n,))
        for n in RELUS[1:]
    ),
    Row("zennit.GuidedBackprop", "guided_backprop", KEEP),
    Row("zennit.DeconvNet", "deconvnet", KEEP),
    Row("xplique.Saliency", "saliency"),
    Row("xplique.GradientInput", "gradient_x_input"),
    Row("xplique.GuidedBackprop", "guided_backprop"),
    Row("xplique.DeconvNet", "deconvnet"),
]

CAMS = [
    Row("captum.LayerGradCam", "gradcam", at_layer=True),
    Row("captum.GuidedGradCam", "guided_gradcam", KEEP),
    cam("GradCAM", "gradcam"),
    cam("GradCAMPlusPlus", "gradcam_plus_plus"),
    cam("XGradCAM", "xgradcam"),
    cam("HiResCAM", "hirescam"),
    cam("LayerCAM", "layercam"),
    cam(
        "EigenCAM(mirrored)",
        "eigencam",
        ours=lambda maps, scores: maps * np.sign(maps.sum((1, 2), keepdims=True)),
        reason="a singular vector has no sign; ours makes the sum of the map positive",
    ),
    cam("ScoreCAM", "scorecam", networks=("residual",)),  # where the masks need not be resized
    cam(
        "AblationCAM",
        "ablationcam",
        ours=lambda maps, scores: relu(maps * np.sign(scores)[:, None, None], scores),
        reason="the paper divides the drops by the score, which inverts the map of a negative one; ours by its size",
    ),
    Row("xplique.GradCAM", "gradcam", networks=("residual",), at_layer=True),  # where the map need not be resized
]


def shapley(method: str, **settings) -> list[Row]:
    """The rows of captum's exact Shapley values, of six features or six segments."""
    return [
        Row("captum.ShapleyValues", method, settings, networks=("table",)),
        Row(
            "captum.ShapleyValues",
            method,
            {"segments": SIX, **settings},
            networks=("pooled",),
            ours=lambda maps, scores: maps / 16,
            reason="captum gives each pixel the value of its segment, ours spreads it over the 16 pixels",
        ),
    ]


PERTURBATIONS = [
    Row("captum.Occlusion(2, 2)", "occlusion", {"patch": 2, "stride": 2}),
    Row("captum.Occlusion(2, 1)", "occlusion", {"patch": 2, "stride": 1}),
    Row("captum.Occlusion(4, 2)", "occlusion", {"patch": 4, "stride": 2}),
    Row("xplique.Occlusion(2, 2)", "occlusion", {"patch": 2, "stride": 2}),
    Row("captum.FeatureAblation", "feature_ablation", networks=("table",)),
    Row("captum.FeatureAblation", "feature_ablation", {"segments": SIX}, networks=("pooled",)),
    *shapley("kernel_shap"),
    *shapley("shapley_sampling", permutations=720),  # all orders of six players
]


def lrp(peer: str, chosen: tuple[str, ...] = networks.NETWORKS, **settings) -> list[Row]:
    """The rows of an LRP rule or composite; the box is that of a network's images."""
    lows = {name: 0.0 if name == "pooled" else -1.0 for name in chosen}
    return [Row(peer, "lrp", {**KEEP, "low": lows[name], "high": 1.0, **settings}, (name,)) for name in chosen]


ZENNIT = {  # zennit's rule or composite -> our settings
    "Epsilon": {"rule": "epsilon"},
    "Epsilon(epsilon=0.25)": {"rule": "epsilon", "epsilon": 0.25},
    "Gamma(gamma=0.25)": {"rule": "gamma", "gamma": 0.25},
    "ZPlus": {"rule": "z+"},
    "AlphaBeta(alpha=2, beta=1)": {"rule": "alpha-beta", "alpha": 2.0, "beta": 1.0},
    "Flat": {"rule": "flat"},
    "WSquare": {"rule": "w^2"},
    "ZBox first, then Epsilon": {"rule": "epsilon", "rules": "zB"},
    "Flat first, then Epsilon": {"rule": "epsilon", "rules": "flat"},
    "WSquare first, then Epsilon": {"rule": "epsilon", "rules": "w^2"},
    "EpsilonPlus": {"composite": "epsilon_plus"},
    "EpsilonAlpha2Beta1": {"composite": "epsilon_alpha2_beta1"},
    "EpsilonPlusFlat": {"composite": "epsilon_plus_flat"},
    "EpsilonGammaBox": {"composite": "epsilon_gamma_box"},
}


def zennit() -> list[Row]:
    rows = []
    for name in networks.NETWORKS:
        first = "dense_1" if name == "table" else "convolution_1"
        for peer, settings in ZENNIT.items():
            if "rules" in settings:
                settings = {**settings, "rules": {first: settings["rules"]}}
            rows += lrp(f"zennit.{peer}", (name,), **settings)
            if name != "mixed":
                rows += lrp(f"zennit.{peer}, no bias", (name,), **settings, bias=False)
    return rows


CAPTUM = [
    *lrp("captum.LRP(EpsilonRule(1e-9))", RELUS, rule="epsilon", epsilon=1e-9),
    *lrp("captum.LRP(EpsilonRule(0.25))", RELUS, rule="epsilon", epsilon=0.25),
    *lrp("captum.LRP(GammaRule(0.25, no bias))", ("pooled",), rule="gamma", bias=False),
    *lrp("captum.LRP(Alpha1_Beta0_Rule(no bias))", ("pooled",), rule="z+", bias=False),
]

ROWS = [*GRADIENTS, *CAMS, *PERTURBATIONS, *zennit(), *CAPTUM]
CASES = [pytest.param(row, name, id=f"{row.peer}/{name}") for row in ROWS for name in row.networks]


@functools.cache
def model(name: str):
    return networks.keras_model(name)


def maps_of(row: Row, name: str) -> np.ndarray:
    images, targets = networks.images(name), np.array(networks.TARGETS[name])
    if not row.at_layer:
        return kam.explain(model(name), images, row.method, targets, networks.LAYER.get(name), **row.settings).maps
    return raw_maps(row.method, model(name), images, targets, networks.LAYER[name], **row.settings)


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_the_networks_are_the_same(name):
    logits = array(networks.keras_model(name, linear=True)(networks.images(name)))
    np.testing.assert_allclose(logits, STORED[f"logits/{name}"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("row", "name"), CASES)
def test_method_agrees_with_peer(row, name):
    expected = row.ours(STORED[f"{row.peer}/{name}"], SCORES[name])
    found = maps_of(row, name)
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 1e-3
    assert np.abs(found - expected).max() <= BOUND * np.abs(expected).max()


def test_every_stored_number_is_compared():
    compared = {f"{row.peer}/{name}" for row in ROWS for name in row.networks}
    stored = {key for key in STORED if not key.startswith("logits/")} - {"versions"}
    assert compared == stored
    assert {"torch", "captum", "zennit", "grad-cam", "xplique"} <= set(json.loads(str(STORED["versions"])))
