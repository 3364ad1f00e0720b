"""Explaining PyTorch modules: names of layers, layouts, modules that cannot be traced, and error messages."""

import re

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("PyTorch modules need KERAS_BACKEND=torch", allow_module_level=True)

import torch
from helpers import array
from helpers.torch_networks import (
    IMAGES,
    SHAPE,
    Block,
    Branching,
    ResNet,
    Segmenter,
    Transformer,
    assert_close,
    converted,
    expected_outputs,
    randomised,
)
from torch import nn

import keras_actmaps as kam

PATHS = {
    None: "layer2.1.relu",
    "layer1": "layer1.1.relu",
    "layer2.0": "layer2.0.relu",
    "layer2.0.downsample": "layer2.0.downsample.1",
    "layer1.1.relu": "layer1.1.relu",
    "layer1.1.relu@1": "layer1.1.relu@1",
    "layer1.0.add": "layer1.0.add",
}


@pytest.mark.parametrize("layer", PATHS)
def test_paths_of_layers_and_of_their_containers(layer):
    assert kam.Probe(randomised(ResNet()), layer, shape=SHAPE).layer == PATHS[layer]


def test_a_layer_without_spatial_output_is_an_error():
    with pytest.raises(ValueError, match=r"^no spatial layer 'fc' in 'ResNet'; choices: conv1, bn1, relu, maxpool, "):
        kam.Probe(ResNet(), "fc", shape=SHAPE)


def test_a_module_that_torch_fx_traces_wrongly_is_a_single_operation():
    class Aliased(nn.Sequential):
        def forward(self, x):
            y = super().forward(x)
            same = y
            y += 1  # torch.fx takes this for y = y + 1
            return y * same

    module = randomised(Aliased(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    with pytest.warns(
        UserWarning, match="Aliased is explained as a single operation, without its layers: the graph traced by"
    ):
        model, found = converted(module)
    assert model.is_opaque
    assert_close(found, expected_outputs(module, IMAGES))


def test_a_module_that_cannot_be_traced_is_a_single_operation():
    module = randomised(Branching())
    with pytest.warns(
        UserWarning, match="^Branching is explained as a single operation, without its layers: symbolically traced"
    ):
        probe = kam.Probe(module, shape=SHAPE)
    images = torch.tensor(IMAGES, requires_grad=True)
    module.eval()(images.clone())[:, 2].sum().backward()
    e = kam.explain(probe, IMAGES, "saliency", targets=2)
    assert_close(e.maps, images.grad.abs().amax(1))
    for method in ("gradcam", "lrp", "guided_backprop"):
        with pytest.raises(
            ValueError, match=r"^the layers of 'Branching' are not known, because its call cannot be traced "
        ):
            kam.explain(probe, IMAGES, method)


class TwoInputs(nn.Module):
    def forward(self, x, y):
        return x + y


class WithText(nn.Module):
    def forward(self, x):
        return {"scores": x.mean((2, 3)), "name": "text"}


BAD = [
    (TwoInputs(), IMAGES, "TwoInputs has 2 inputs, x, y; only models with one input can be explained"),
    (WithText(), IMAGES, "WithText returns str, which is not a tensor; wrap it in a module that returns tensors"),
    (ResNet(), np.moveaxis(IMAGES, 1, -1), "ResNet fails on inputs (N, 20, 28, 3), read as (N, C, ...): "),
    (ResNet(), IMAGES[0], "ResNet fails on inputs (N, 20, 28), "),
    (torch.jit.trace(nn.Linear(28, 2), torch.tensor(IMAGES)), IMAGES, "TopLevelTracedModule is compiled by torch.jit"),
    (nn.Sequential(Segmenter()), IMAGES, "the outputs of 'Sequential' are not class scores (N, classes); pass a "),
]


@pytest.mark.parametrize("module, images, message", BAD)
def test_errors_for_modules_and_images_are_one_line(module, images, message):
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}[^\n]*$"):
        kam.explain(module, images)


def test_a_probe_needs_the_shape_and_checks_the_layout():
    with pytest.raises(
        ValueError, match=r"^the shape of one input of ResNet is needed, as in Probe\(module, shape=\(3, 224, 224\)\)$"
    ):
        kam.Probe(ResNet())
    with pytest.raises(ValueError, match=r"which takes \(None, 3, 20, 28\); their channels come last: pass"):
        kam.explain(kam.Probe(ResNet(), shape=SHAPE), np.moveaxis(IMAGES, 1, -1))


class Cumulative(torch.nn.Module):
    def forward(self, x):
        return torch.cumsum(x, 2)


def test_the_error_for_a_layer_without_a_rule_has_its_path():
    with pytest.raises(
        ValueError, match=r"^lrp has no rule for layer 'attention.matmul(@1)?' \(matmul\); pass one as rules="
    ):
        kam.explain(randomised(Transformer()), IMAGES, "lrp")
    summed = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), Cumulative(), torch.nn.Flatten(), torch.nn.LazyLinear(2))
    summed(torch.tensor(IMAGES))
    with pytest.raises(ValueError, match=r"^deeplift has no rule for layer '1.cumsum' \(cumsum\); integrated"):
        kam.explain(summed, IMAGES, "deeplift")
    rules = dict.fromkeys(("matmul", "Softmax"), "route")
    assert np.isfinite(kam.explain(randomised(Transformer()), IMAGES, "lrp", rules=rules).maps).all()


def test_the_path_of_a_container_called_twice_is_its_last_call():
    block = Block(3, 3, 1)
    module = randomised(nn.Sequential(block, block, nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    probe = kam.Probe(module, "0", shape=SHAPE)
    values, (slot,), _ = probe.split(torch.as_tensor(np.moveaxis(IMAGES, 1, -1)))
    assert_close(array(values[slot]).mean((1, 2)), expected_outputs(module, IMAGES))


def test_datasets_from_a_data_loader():
    module = randomised(ResNet())
    data = torch.utils.data.TensorDataset(torch.as_tensor(IMAGES), torch.tensor([1, 0, 4]))
    loader = torch.utils.data.DataLoader(data, batch_size=2)
    maps = np.concatenate([e.maps for e in kam.explain_dataset(module, loader, targets="labels", layer="layer1")])
    assert_close(maps, kam.explain(module, IMAGES, targets=[1, 0, 4], layer="layer1").maps)


def test_bfloat16_is_close_to_float32():
    module = randomised(ResNet())
    full, half = (kam.explain(module, IMAGES, "cam", precision=p).maps for p in ("float32", "bfloat16"))
    assert 1e-5 < np.abs(full - half).max() / full.max() < 0.05


def test_overlays_accept_channels_first():
    e = kam.explain(randomised(ResNet()), IMAGES)
    np.testing.assert_array_equal(kam.render.overlay(e, IMAGES), kam.render.overlay(e, np.moveaxis(IMAGES, 1, -1)))
