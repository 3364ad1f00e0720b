"""Maps by captum, in float64.

- Its LRP does not fold batch normalization and is run on networks in which it is folded. Its gamma and alpha-beta rules
  change the weights but leave the bias as it is, and are for inputs that are not negative: they are compared without
  biases and on `pooled` only. It has no rule for ReLU6.
- DeepLift is left out behind max pooling where the baseline is not constant: there its attributions do not sum to the
  difference of the scores, as its own convergence delta says. It has no rule for ReLU6 either.
"""

from collections.abc import Iterator
from typing import Any

import captum.attr as captum
import numpy as np
import torch
from captum.attr._utils import lrp_rules
from captum.attr._utils.custom_modules import Addition_Module
from networks import PICTURES, baseline, baselines
from peer_torch_networks import fold_batch_normalization, inputs, torch_model

LRP_RULES = {
    "EpsilonRule(1e-9)": lambda: lrp_rules.EpsilonRule(),
    "EpsilonRule(0.25)": lambda: lrp_rules.EpsilonRule(0.25),
    "GammaRule(0.25, no bias)": lambda: lrp_rules.GammaRule(0.25, set_bias_to_zero=True),
    "Alpha1_Beta0_Rule(no bias)": lambda: lrp_rules.Alpha1_Beta0_Rule(set_bias_to_zero=True),
}


def maps_of(network: str) -> Iterator[tuple[str, Any]]:
    """(class and settings, maps) of all that is compared on a network."""
    for part in (gradients, layers, occlusions, groups, relevance):
        yield from part(network)


def gradients(network: str) -> Iterator[tuple[str, Any]]:
    """Gradients at the inputs, integrated gradients and DeepLift."""
    x, targets = inputs(network)
    integrated = captum.IntegratedGradients(torch_model(network))
    for steps in (3, 32):
        maps = integrated.attribute(x, 0 * x, targets, n_steps=steps, method="gausslegendre")
        yield f"IntegratedGradients(n_steps={steps})", maps
    names = ("Saliency", "InputXGradient", "GuidedBackprop", "Deconvolution", "DeepLift")
    for name in names[:2] if network == "mixed" else names:
        settings = {"abs": False} if name == "Saliency" else {}
        yield name, getattr(captum, name)(torch_model(network)).attribute(x, target=targets, **settings)
    if network in ("residual", "table"):
        start = torch.tensor(np.stack([np.moveaxis(baseline(network), -1, 0)] * 2)).double()
        maps = captum.DeepLift(torch_model(network)).attribute(x, start, target=targets)
        yield "DeepLift(baseline)", maps
        starts = torch.tensor(np.moveaxis(baselines(network), -1, 1) if network == "residual" else baselines(network))
        yield "DeepLiftShap", captum.DeepLiftShap(torch_model(network)).attribute(x, starts.double(), target=targets)


def layers(network: str) -> Iterator[tuple[str, Any]]:
    """Maps made at the last layer with positions."""
    if network not in PICTURES:
        return
    x, targets = inputs(network)
    model = torch_model(network)
    maps = captum.LayerGradCam(model, model.relu_2).attribute(x, targets, relu_attributions=True)
    yield "LayerGradCam", maps[:, 0]
    guided = captum.GuidedGradCam(model, model.relu_2)
    yield "GuidedGradCam", guided.attribute(x, targets, interpolate_mode="bilinear")


def occlusions(network: str) -> Iterator[tuple[str, Any]]:
    """Occlusion by patches that end at the border."""
    if network not in PICTURES:
        return
    x, targets = inputs(network)
    occlusion = captum.Occlusion(torch_model(network))
    for window, stride in ((2, 2), (2, 1), (4, 2)):
        shapes = {"sliding_window_shapes": (x.shape[1], window, window), "strides": (x.shape[1], stride, stride)}
        maps = occlusion.attribute(x, target=targets, baselines=0, **shapes)
        yield f"Occlusion({window}, {stride})", maps[:, 0]


def groups(network: str) -> Iterator[tuple[str, Any]]:
    """Ablation and exact Shapley values, of six segments of 4x4 pixels or of six features."""
    rows = torch.arange(12)[:, None] // 4 * 2 + torch.arange(8)[None] // 4
    segments = {"pooled": rows[None, None], "table": torch.arange(6)[None]}
    if network not in segments:
        return
    x, targets = inputs(network)
    for name in ("FeatureAblation", "ShapleyValues"):
        method = getattr(captum, name)(torch_model(network))
        maps = method.attribute(x, 0 * x, targets, feature_mask=segments[network], perturbations_per_eval=1)
        yield name, maps[:, 0] if network == "pooled" else maps


def relevance(network: str) -> Iterator[tuple[str, Any]]:
    """LRP with one rule for all layers."""
    if network == "mixed":
        return
    x, targets = inputs(network)
    for name, rule in LRP_RULES.items():
        if network != "pooled" and not name.startswith("Epsilon"):
            continue
        model = torch_model(network, Addition_Module())
        fold_batch_normalization(model)
        for module in model.modules():
            if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
                module.rule = rule()
            elif isinstance(module, torch.nn.BatchNorm2d):
                module.rule = lrp_rules.IdentityRule()
        yield f"LRP({name})", captum.LRP(model).attribute(x, targets)
