"""Methods on PyTorch modules: against hooks and autograd, and against Keras models of the same weights."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("PyTorch modules need KERAS_BACKEND=torch", allow_module_level=True)

import copy
import functools

import torch
from helpers import FOR_CONVNETS, QUICK, enlarged
from helpers.torch_networks import IMAGES, SHAPE, VGG, ResNet, assert_close, randomised
from keras import layers
from torch import nn

import keras_actmaps as kam


def features_and_gradients(module, layer):
    """(N, C, h, w) each, of the greatest score, by forward and backward hooks on a copy of the module."""
    module, recorded = copy.deepcopy(module).eval(), {}
    part = module.get_submodule(layer)
    part.register_forward_hook(lambda _, inputs, outputs: recorded.update(features=outputs.detach().numpy().copy()))
    part.register_full_backward_hook(lambda _, inputs, outputs: recorded.update(gradients=outputs[0].numpy()))
    module(torch.tensor(IMAGES)).amax(1).sum().backward()
    return recorded["features"], recorded["gradients"]


@pytest.mark.parametrize("layer", ["layer1", "layer2", "layer2.0.conv2", "maxpool"])
def test_gradcam_and_hirescam_are_those_of_hooks(layer):
    module = randomised(ResNet())
    features, gradients = features_and_gradients(module, layer)
    weights = gradients.mean(axis=(2, 3), keepdims=True)
    expected = enlarged(np.maximum((weights * features).sum(1), 0), SHAPE[1:])
    assert_close(kam.explain(module, IMAGES, "gradcam", layer=layer).maps, expected)
    expected = enlarged(np.maximum((gradients * features).sum(1), 0), SHAPE[1:])
    assert_close(kam.explain(module, IMAGES, "hirescam", layer=layer).maps, expected)


def gradients_of(module):
    images = torch.tensor(IMAGES, requires_grad=True)
    module(images).amax(1).sum().backward()
    return images.grad.numpy()


@pytest.mark.parametrize("network", [ResNet, VGG])
def test_saliency_is_the_gradient(network):
    module = randomised(network())
    expected = gradients_of(copy.deepcopy(module).eval())
    assert_close(kam.explain(module, IMAGES, "saliency").maps, np.abs(expected).max(axis=1))
    kept = kam.explain(module, IMAGES, "saliency", channels="keep").maps
    assert_close(kept, np.moveaxis(expected, 1, -1))


@pytest.mark.parametrize("network", [ResNet, VGG])
def test_guided_backprop_is_that_of_hooks(network):
    module = randomised(network())
    hooked = copy.deepcopy(module).eval()
    for part in hooked.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False
            part.register_full_backward_hook(lambda _, inputs, outputs: (inputs[0].clamp(min=0),))
    assert_close(kam.explain(module, IMAGES, "guided_backprop").maps, gradients_of(hooked).sum(axis=1))


def test_lrp_conserves_without_biases():
    module = randomised(VGG())
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            nn.init.zeros_(part.bias)
    for settings in ({"rule": "0"}, {"composite": "epsilon_plus"}):
        e = kam.explain(module, IMAGES, "lrp", targets=[0, 1, 2], **settings)
        assert np.abs(e.residual).max() < 1e-4 * np.abs(e.scores).max()
    expected = (gradients_of(copy.deepcopy(module).eval()) * IMAGES).sum(axis=1)
    assert_close(kam.explain(module, IMAGES, "lrp", rule="0").maps, expected, 1e-4)  # LRP-0 on ReLUs


class Plain(nn.Module):
    """A residual network; its head pools to one position, or flattens all positions channels first."""

    def __init__(self, flattens):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = nn.Conv2d(6, 6, 3, padding=1, groups=2, bias=False), nn.BatchNorm2d(6)
        self.pool, self.relu = nn.MaxPool2d(2), nn.ReLU(inplace=True)
        self.head = nn.AdaptiveAvgPool2d(1 if not flattens else (5, 7))
        self.fc = nn.Linear(210 if flattens else 6, 4)

    def forward(self, x):
        x = self.pool(self.relu(self.bn1(self.conv1(x))))
        x = self.relu(self.conv2(self.bn2(x)) + x)
        return torch.softmax(self.fc(torch.flatten(self.head(x), 1)), 1)


@functools.cache
def twins(flattens):
    """The module, and a Keras model with copies of its weights."""
    module = randomised(Plain(flattens))
    inputs = keras.Input((*SHAPE[1:], 3))
    norm = functools.partial(layers.BatchNormalization, epsilon=1e-5)
    x = layers.ReLU()(norm(name="bn1")(layers.Conv2D(6, 3, padding="same", name="conv1")(inputs)))
    x = layers.MaxPooling2D()(x)
    y = layers.Conv2D(6, 3, padding="same", groups=2, use_bias=False, name="conv2")(norm(name="bn2")(x))
    x = layers.ReLU()(layers.Add()([y, x]))
    x = layers.Flatten()(layers.AveragePooling2D(2)(x)) if flattens else layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(4, "softmax", name="fc")(x))
    for name in ("conv1", "bn1", "conv2", "bn2", "fc"):
        part = module.get_submodule(name)
        arrays = [tensor.detach().numpy() for tensor in (*part.parameters(), *part.buffers()) if tensor.dim()]
        if name == "fc" and flattens:
            arrays[0] = arrays[0].reshape(4, 6, 5, 7).transpose(0, 2, 3, 1).reshape(4, -1)
        if arrays[0].ndim > 1:
            arrays[0] = np.moveaxis(arrays[0], (0, 1), (-1, -2))
        model.get_layer(name).set_weights(arrays)
    return module, model


@pytest.mark.parametrize("flattens", [False, True])
@pytest.mark.parametrize("method", FOR_CONVNETS)
def test_maps_are_those_of_a_keras_model_of_the_same_weights(method, flattens):
    module, model = twins(flattens)
    settings = {"targets": [2, 0, 1], **QUICK.get(method, {})}
    if method == "cam" and flattens:
        with pytest.raises(ValueError, match=r"only global average pooling .* but '.*' \(.*\) follows; gradcam works"):
            kam.explain(module, IMAGES, method, **settings)
        return
    layer = {"layer": "relu"} if flattens else {}
    found = kam.explain(module, IMAGES, method, **layer, **settings)
    layer = {"layer": model.layers[-4].name} if flattens else {}
    expected = kam.explain(model, np.moveaxis(IMAGES, 1, -1), method, **layer, **settings)
    assert_close(found.scores, expected.scores)
    assert_close(found.maps, expected.maps, 1e-4)


@pytest.mark.parametrize("composite", ["epsilon_alpha2_beta1", "epsilon_gamma_box", "epsilon_plus_flat"])
def test_composites_are_those_of_a_keras_model(composite):
    module, model = twins(True)
    found = kam.explain(module, IMAGES, "lrp", targets=1, composite=composite)
    assert_close(
        found.maps, kam.explain(model, np.moveaxis(IMAGES, 1, -1), "lrp", targets=1, composite=composite).maps, 1e-4
    )
