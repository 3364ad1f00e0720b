"""Computes what the peers attribute on the networks of networks.py and writes peers.npz. Run by hand, on a CPU:

    python -m venv peers && . peers/bin/activate
    pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
    pip install tensorflow==2.21.0 keras==3.15.1 matplotlib opencv-python-headless scikit-learn scipy tqdm ttach
    pip install deprecated einops imageio lazy_loader tifffile decorator dm-tree tf_keras click
    pip install --no-deps captum==0.9.0 zennit==0.5.1 grad-cam==1.5.7 xplique==2.0.2
    pip install --no-deps "scikit-image<=0.25.2" tensorflow-probability
    python tests/peers/make_peers.py

zennit and grad-cam import a few names of torchvision that are not used here; stand-ins take their place, so torchvision
is not needed. PyTorch computes in float64, xplique in float32 on the Keras network itself.

Keys are `peer.Class(settings)/network`. Maps are float32, channels last and in the peer's own scale; those at a layer
(N,h,w). What a peer does that is not in its name:

- zennit divides by z + sign(z) `stabilizer` in every rule: 1e-12 here instead of 1e-6, since ours divide by z. Epsilon
  has an epsilon of its own, 1e-6 where none is named. zennit takes average pooling and sums by the epsilon rule, passes
  relevance through activations unchanged and lets max pooling route it as the gradient does. `no bias` is
  zero_params="bias": the bias has no part in a denominator.
- zennit's SequentialMergeBatchNorm leaves the merged layer its eps, so that it still divides by sqrt(1 + eps), 5e-4 a
  layer; Merged mends that. captum's LRP does not fold and is run on networks that are merged likewise. Its gamma and
  alpha-beta rules change the weights but leave the bias as it is, and are for inputs that are not negative: they are
  compared without biases and on `pooled` only.
- captum's DeepLift is left out behind max pooling where the baseline is not constant: there its attributions do not
  sum to the difference of the scores, as its own convergence delta says. It has no rule for ReLU6, nor has its LRP.
- pytorch-grad-cam's maps are what get_cam_image returned: before its ReLU, its scaling to 0..1 and its resizing. Its
  Eigen-CAM centres the features, which the paper does not; `mirrored` is its projection of the features beside their
  negatives, whose mean is 0, so that there is nothing to centre. Its Score-CAM resizes with aligned corners,
  so it is compared where there is nothing to resize, on `residual`.
- xplique's Grad-CAM++ (a mean where eq. 19 sums) and integrated gradients (trapezoids) are left out.
"""

import json
import sys
import types
import warnings
from importlib.metadata import version
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch
from networks import LAYER, NETWORKS, TARGETS, baseline, images, keras_model
from peer_torch_networks import torch_model

for name in ("torchvision", "torchvision.models", "torchvision.models.resnet", "torchvision.transforms"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["torchvision.models.resnet"].Bottleneck = sys.modules["torchvision.models.resnet"].BasicBlock = type(
    "Unused", (torch.nn.Module,), {}
)
for name in ("Compose", "Normalize", "ToTensor"):
    setattr(sys.modules["torchvision.transforms"], name, MagicMock())
sys.modules["torchvision.transforms.functional"] = MagicMock()
sys.modules["torchvision.ops"] = sys.modules["torchvision"].ops = MagicMock()

import captum.attr as captum  # noqa: E402
import pytorch_grad_cam  # noqa: E402
import xplique.attributions as xplique  # noqa: E402
import zennit.composites  # noqa: E402
import zennit.layer  # noqa: E402
from captum.attr._utils import lrp_rules  # noqa: E402
from captum.attr._utils.custom_modules import Addition_Module  # noqa: E402
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget  # noqa: E402
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection  # noqa: E402
from zennit import rules  # noqa: E402
from zennit.attribution import Gradient  # noqa: E402
from zennit.canonizers import SequentialMergeBatchNorm  # noqa: E402
from zennit.types import Linear  # noqa: E402

PICTURES = ("pooled", "residual")


def inputs(network: str):
    """The images as PyTorch takes them, and the targets."""
    array = images(network)
    array = np.moveaxis(array, -1, 1) if array.ndim == 4 else array
    return torch.tensor(array).double(), torch.tensor(TARGETS[network])


def channels_last(tensor) -> np.ndarray:
    array = np.asarray(tensor.detach() if isinstance(tensor, torch.Tensor) else tensor)
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array


def logits():
    for network in NETWORKS:
        yield f"logits/{network}", torch_model(network)(inputs(network)[0])


def captum_gradients():
    for network in NETWORKS:
        x, targets = inputs(network)
        integrated = captum.IntegratedGradients(torch_model(network))
        for steps in (3, 32):
            maps = integrated.attribute(x, 0 * x, targets, n_steps=steps, method="gausslegendre")
            yield f"captum.IntegratedGradients(n_steps={steps})/{network}", maps
        names = ("Saliency", "InputXGradient", "GuidedBackprop", "Deconvolution", "DeepLift")
        for name in names[:2] if network == "mixed" else names:
            settings = {"abs": False} if name == "Saliency" else {}
            maps = getattr(captum, name)(torch_model(network)).attribute(x, target=targets, **settings)
            yield f"captum.{name}/{network}", maps
        if network in ("residual", "table"):
            start = torch.tensor(np.stack([np.moveaxis(baseline(network), -1, 0)] * 2)).double()
            maps = captum.DeepLift(torch_model(network)).attribute(x, start, target=targets)
            yield f"captum.DeepLift(baseline)/{network}", maps


def captum_layers():
    for network in PICTURES:
        x, targets = inputs(network)
        model = torch_model(network)
        maps = captum.LayerGradCam(model, model.relu_2).attribute(x, targets, relu_attributions=True)
        yield f"captum.LayerGradCam/{network}", maps[:, 0]
        guided = captum.GuidedGradCam(model, model.relu_2)
        yield f"captum.GuidedGradCam/{network}", guided.attribute(x, targets, interpolate_mode="bilinear")


def captum_perturbations():
    for network in PICTURES:
        x, targets = inputs(network)
        occlusion = captum.Occlusion(torch_model(network))
        for window, stride in ((2, 2), (2, 1), (4, 2)):  # those that end at the border
            shapes = {"sliding_window_shapes": (x.shape[1], window, window), "strides": (x.shape[1], stride, stride)}
            maps = occlusion.attribute(x, target=targets, baselines=0, **shapes)
            yield f"captum.Occlusion({window}, {stride})/{network}", maps[:, 0]
    rows = torch.arange(12)[:, None] // 4 * 2 + torch.arange(8)[None] // 4  # six segments of 4x4 pixels
    for network, segments in (("pooled", rows[None, None]), ("table", torch.arange(6)[None])):
        x, targets = inputs(network)
        exact = captum.ShapleyValues(torch_model(network))
        maps = exact.attribute(x, 0 * x, targets, feature_mask=segments, perturbations_per_eval=1)
        yield f"captum.ShapleyValues/{network}", maps[:, 0] if network == "pooled" else maps


def captum_lrp():
    chosen = {
        "EpsilonRule(1e-9)": lambda: lrp_rules.EpsilonRule(),
        "EpsilonRule(0.25)": lambda: lrp_rules.EpsilonRule(0.25),
        "GammaRule(0.25, no bias)": lambda: lrp_rules.GammaRule(0.25, set_bias_to_zero=True),
        "Alpha1_Beta0_Rule(no bias)": lambda: lrp_rules.Alpha1_Beta0_Rule(set_bias_to_zero=True),
    }
    for network in ("pooled", "residual", "table"):
        x, targets = inputs(network)
        for name, rule in chosen.items():
            if network != "pooled" and not name.startswith("Epsilon"):
                continue  # captum's other rules are made for inputs that are not negative
            model = torch_model(network, Addition_Module())
            Merged().apply(model)
            for module in model.modules():
                if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
                    module.rule = rule()
                elif isinstance(module, torch.nn.BatchNorm2d):
                    module.rule = lrp_rules.IdentityRule()
            yield f"captum.LRP({name})/{network}", captum.LRP(model).attribute(x, targets)


class Merged(SequentialMergeBatchNorm):
    """zennit's canonizer, after which batch normalisation does nothing at all."""

    def register(self, linears, batch_norm):
        super().register(linears, batch_norm)
        batch_norm.eps = 0.0


class Stacked(torch.nn.Module):
    """The sum of two branches as zennit wants it: one tensor, summed by its own module."""

    def __init__(self):
        super().__init__()
        self.sum = zennit.layer.Sum(-1)

    def forward(self, first, second):
        return self.sum(torch.stack([first, second], dim=-1))


def zennit_composites(low: float, high: float, **bias):
    base = zennit.composites.layer_map_base(stabilizer=1e-12)
    exact = {"stabilizer": 1e-12, **bias}
    everywhere = {
        "Epsilon": rules.Epsilon(**bias),
        "Epsilon(epsilon=0.25)": rules.Epsilon(epsilon=0.25, **bias),
        "Gamma(gamma=0.25)": rules.Gamma(gamma=0.25, **exact),
        "ZPlus": rules.ZPlus(**exact),
        "AlphaBeta(alpha=2, beta=1)": rules.AlphaBeta(alpha=2, beta=1, **exact),
        "Flat": rules.Flat(**exact),
        "WSquare": rules.WSquare(**exact),
    }
    for name, rule in everywhere.items():
        yield name, zennit.composites.LayerMapComposite([*base, (Linear, rule)])
    rest = [*base, (Linear, rules.Epsilon(**bias))]
    first = {
        "ZBox": rules.ZBox(low=low, high=high, **exact),
        "Flat": rules.Flat(**exact),
        "WSquare": rules.WSquare(**exact),
    }
    for name, rule in first.items():
        composite = zennit.composites.SpecialFirstLayerMapComposite(rest, [(Linear, rule)])
        yield f"{name} first, then Epsilon", composite
    for name in ("EpsilonPlus", "EpsilonAlpha2Beta1", "EpsilonPlusFlat"):
        yield name, getattr(zennit.composites, name)(**exact)
    yield "EpsilonGammaBox", zennit.composites.EpsilonGammaBox(low=low, high=high, **exact)


def zennit_lrp():
    for network in NETWORKS:
        x, targets = inputs(network)
        box = (0.0, 1.0) if network == "pooled" else (-1.0, 1.0)
        for bias, suffix in (({}, ""), ({"zero_params": "bias"}, ", no bias")):
            if bias and network == "mixed":
                continue  # ill-conditioned: zennit's own float32 is 6e-4 off its float64
            for name, composite in zennit_composites(*box, **bias):
                composite.canonizers = [Merged()]
                with Gradient(torch_model(network, Stacked()), composite) as attributor:
                    chosen = torch.eye(attributor.model(x).shape[1], dtype=x.dtype)[targets]
                    maps = attributor(x, lambda outputs, chosen=chosen: outputs * chosen)[1]
                yield f"zennit.{name}{suffix}/{network}", maps
        if network in PICTURES:
            for name in ("GuidedBackprop", "DeconvNet"):
                with Gradient(torch_model(network), getattr(zennit.composites, name)()) as attributor:
                    chosen = torch.eye(attributor.model(x).shape[1], dtype=x.dtype)[targets]
                    yield f"zennit.{name}/{network}", attributor(x, chosen)[1]


def grad_cam():
    names = ("GradCAM", "GradCAMPlusPlus", "XGradCAM", "HiResCAM", "LayerCAM", "ScoreCAM", "AblationCAM")
    for network in PICTURES:
        x, targets = inputs(network)
        for name in names:
            if name == "ScoreCAM" and network == "pooled":
                continue  # its masks are resized
            model = torch_model(network)
            method = getattr(pytorch_grad_cam, name)(model, [model.relu_2])
            raw, recorded = method.get_cam_image, []

            def recording(*arguments, raw=raw, recorded=recorded, **keywords):
                recorded.append(raw(*arguments, **keywords))
                return recorded[-1]

            method.get_cam_image = recording
            method(x, [ClassifierOutputTarget(int(target)) for target in targets])
            yield f"grad-cam.{name}/{network}", recorded[0]
        model = torch_model(network)
        record = pytorch_grad_cam.ActivationsAndGradients(model, [model.relu_2], None)
        record(x)
        features = record.activations[0].numpy()
        mirrored = get_2d_projection(np.concatenate([features, -features], axis=2))
        yield f"grad-cam.EigenCAM(mirrored)/{network}", mirrored[:, : features.shape[2]]


def xplique_maps():
    for network in PICTURES:
        model = keras_model(network, linear=True)
        x = images(network)
        one_hot = np.eye(model.output_shape[-1], dtype="float32")[TARGETS[network]]
        methods = {
            "Saliency": xplique.Saliency(model, reducer="max"),
            "GradientInput": xplique.GradientInput(model, reducer="sum"),
            "DeconvNet": xplique.DeconvNet(model, reducer="sum"),
            "GuidedBackprop": xplique.GuidedBackprop(model, reducer="sum"),
            "Occlusion(2, 2)": xplique.Occlusion(model, patch_size=2, patch_stride=2, occlusion_value=0.0),
        }
        if network == "residual":  # where the bicubic resizing has nothing to do
            methods["GradCAM"] = xplique.GradCAM(model, conv_layer=LAYER[network])
        for name, method in methods.items():
            yield f"xplique.{name}/{network}", np.asarray(method(x, one_hot)).reshape(x.shape[:3])


def main():
    warnings.filterwarnings("ignore")  # captum says that it sets hooks
    parts = (logits, captum_gradients, captum_layers, captum_perturbations, captum_lrp, zennit_lrp, grad_cam)
    found = {}
    for part in (*parts, xplique_maps):
        for key, maps in part():
            found[key] = channels_last(maps).astype("float32")
    packages = ("torch", "captum", "zennit", "grad-cam", "xplique", "tensorflow", "keras", "numpy")
    versions = json.dumps({package: version(package) for package in packages})
    target = Path(__file__).with_name("peers.npz")
    np.savez_compressed(target, versions=versions, **found)
    print(f"{len(found)} arrays, {target.stat().st_size / 1024:.0f} KiB: {target}\n{versions}")


if __name__ == "__main__":
    main()
