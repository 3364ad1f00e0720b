"""Questions to PyTorch modules: layers and their names, layouts, what cannot be traced, and errors in one line."""

import re

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("PyTorch modules need KERAS_BACKEND=torch", allow_module_level=True)

import torch
from helpers import array
from torch import nn
from helpers.torch_networks import (
    IMAGES,
    SHAPE,
    Block,
    ResNet,
    Segmenter,
    Transformer,
    Undecided,
    close,
    outputs_of,
    randomised,
    translated,
)

import keras_actmaps as kam

NAMES = {
    **{None: "layer2.1.relu", "layer1": "layer1.1.relu", "layer2.0": "layer2.0.relu"},
    **{"layer2.0.downsample": "layer2.0.downsample.1", "layer1.1.relu": "layer1.1.relu"},
    **{"layer1.1.relu@1": "layer1.1.relu@1", "layer1.0.add": "layer1.0.add"},
}


@pytest.mark.parametrize("layer", NAMES)
def test_names(layer):
    assert kam.Probe(randomised(ResNet()), layer, shape=SHAPE).layer == NAMES[layer]


def test_a_layer_that_is_not_there_or_has_no_places():
    with pytest.raises(ValueError, match=r"'fc'.*'ResNet'.*conv1, bn1, relu, maxpool, "):
        kam.Probe(ResNet(), "fc", shape=SHAPE)


def test_what_torch_fx_misreads_is_one_step():
    class Hidden(nn.Sequential):
        def forward(self, x):
            y = super().forward(x)
            same = y
            y += 1  # torch.fx takes this for y = y + 1
            return y * same

    module = randomised(Hidden(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    with pytest.warns(UserWarning, match="Hidden is explained without a look at its layers: what torch.fx sees"):
        model, found = translated(module)
    assert model.is_opaque
    close(found, outputs_of(module, IMAGES))


def test_what_cannot_be_traced_is_one_step():
    module = randomised(Undecided())
    with pytest.warns(UserWarning, match="^Undecided is explained without a look at its layers: symbolically traced"):
        probe = kam.Probe(module, shape=SHAPE)
    images = torch.tensor(IMAGES, requires_grad=True)
    module.eval()(images.clone())[:, 2].sum().backward()
    e = kam.explain(probe, IMAGES, "saliency", targets=2)
    close(e.maps, images.grad.abs().amax(1))
    for method in ("gradcam", "lrp", "guided_backprop"):
        with pytest.raises(ValueError, match=r"^the layers of .Undecided. cannot be seen, since what it calls "):
            kam.explain(probe, IMAGES, method)


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


class Words(nn.Module):
    def forward(self, x):
        return {"scores": x.mean((2, 3)), "name": "words"}


BAD = [
    (Two(), IMAGES, "Two takes 2 inputs, x, y; only models of one input can be explained"),
    (Words(), IMAGES, "Words gives str, which is no tensor"),
    (
        ResNet(),
        np.moveaxis(IMAGES, 1, -1),
        "ResNet does not take images (N, 20, 28, 3), which it reads as (N, C, ...): ",
    ),
    (ResNet(), IMAGES[0], "ResNet does not take images (N, 20, 28), "),
    (torch.jit.trace(nn.Linear(28, 2), torch.tensor(IMAGES)), IMAGES, "TopLevelTracedModule is compiled by torch.jit"),
    (nn.Sequential(Segmenter()), IMAGES, "the outputs of 'Sequential' are no class scores (N, classes); give a "),
]


@pytest.mark.parametrize("module, images, message", BAD)
def test_bad_modules_and_images_get_one_line(module, images, message):
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}[^\n]*$"):
        kam.explain(module, images)


def test_a_probe_knows_the_layout():
    with pytest.raises(ValueError, match=r"^ResNet does not say .* Probe\(module, shape=\(3, 224, 224\)\)$"):
        kam.Probe(ResNet())
    with pytest.raises(ValueError, match=r"which takes \(None, 3, 20, 28\); these have their channels last: give"):
        kam.explain(kam.Probe(ResNet(), shape=SHAPE), np.moveaxis(IMAGES, 1, -1))


def test_a_layer_without_a_rule_is_named():
    with pytest.raises(ValueError, match=r"^lrp has no rule for layer 'attention' \(MultiheadAttention\); give it"):
        kam.explain(randomised(Transformer()), IMAGES, "lrp", rules={"LayerNorm": "pass"})
    with pytest.raises(ValueError, match=r"^deeplift has no rule for layer 'norm' \(LayerNorm\); integrated"):
        kam.explain(randomised(Transformer()), IMAGES, "deeplift")
    rules = {"LayerNorm": "pass", "attention": "route"}
    assert np.isfinite(kam.explain(randomised(Transformer()), IMAGES, "lrp", rules=rules).maps).all()


def test_a_container_that_is_called_twice_stands_for_its_last_call():
    block = Block(3, 3, 1)
    module = randomised(nn.Sequential(block, block, nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    probe = kam.Probe(module, "0", shape=SHAPE)
    values, (slot,), _ = probe.split(torch.as_tensor(np.moveaxis(IMAGES, 1, -1)))
    close(array(values[slot]).mean((1, 2)), outputs_of(module, IMAGES))


def test_a_stream_from_a_loader():
    module = randomised(ResNet())
    data = torch.utils.data.TensorDataset(torch.as_tensor(IMAGES), torch.tensor([1, 0, 4]))
    loader = torch.utils.data.DataLoader(data, batch_size=2)
    maps = np.concatenate([e.maps for e in kam.explain_dataset(module, loader, targets="labels", layer="layer1")])
    close(maps, kam.explain(module, IMAGES, targets=[1, 0, 4], layer="layer1").maps)


def test_bfloat16_is_near():
    module = randomised(ResNet())
    full, half = (kam.explain(module, IMAGES, "cam", precision=p).maps for p in ("float32", "bfloat16"))
    assert 1e-5 < np.abs(full - half).max() / full.max() < 0.05


def test_overlays_take_channels_first():
    e = kam.explain(randomised(ResNet()), IMAGES)
    np.testing.assert_array_equal(kam.render.overlay(e, IMAGES), kam.render.overlay(e, np.moveaxis(IMAGES, 1, -1)))
