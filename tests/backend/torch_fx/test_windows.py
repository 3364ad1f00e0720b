"""Attention within shifted windows of a PyTorch module, as Swin has it: layouts, Grad-CAM, LRP, and what is refused."""

import copy

import keras
import numpy as np
import pytest
from helpers import enlarged

torch = pytest.importorskip("torch")

from helpers.torch_networks import randomised  # noqa: E402
from torch.nn import functional  # noqa: E402

import keras_actmaps as kam  # noqa: E402

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="modules need Keras on PyTorch")
IMAGES = np.random.default_rng(0).normal(size=(2, 3, 16, 24)).astype("float32")
WINDOW = 2


class Block(torch.nn.Module):
    """Attention within windows of features (N, h, w, C), with a bias, and a mask where windows are shifted."""

    def __init__(self, width, shift):
        super().__init__()
        self.norm, self.qkv = torch.nn.LayerNorm(width), torch.nn.Linear(width, 3 * width)
        self.mixed, self.shift = torch.nn.Identity(), shift
        self.bias = torch.nn.Parameter(torch.randn(2, WINDOW**2, WINDOW**2))

    def forward(self, x):
        n, h, w, c = x.shape
        y = torch.roll(self.norm(x), (-self.shift, -self.shift), (1, 2))
        y = y.view(n, h // WINDOW, WINDOW, w // WINDOW, WINDOW, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, WINDOW**2, c)
        q, k, v = self.qkv(y).reshape(y.shape[0], WINDOW**2, 3, 2, c // 2).permute(2, 0, 3, 1, 4).unbind(0)
        scores = q @ k.transpose(-2, -1) * (c // 2) ** -0.5 + self.bias
        if self.shift:
            hidden = (torch.arange(h * w // WINDOW**2)[:, None, None] + torch.eye(WINDOW**2)) % 3 == 0
            scores = scores.view(n, -1, 2, WINDOW**2, WINDOW**2) + hidden[:, None] * -100.0
            scores = scores.view(-1, 2, WINDOW**2, WINDOW**2)
        y = self.attend(scores, v).transpose(1, 2).reshape(n, h // WINDOW, w // WINDOW, WINDOW, WINDOW, c)
        y = self.mixed(y.permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c))
        return x + torch.roll(y, (self.shift, self.shift), (1, 2))

    def attend(self, scores, values):
        return functional.softmax(scores, dim=-1) @ values


class Swin(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.patches, self.blocks = torch.nn.Conv2d(3, 8, 2, 2), torch.nn.Sequential(Block(8, 0), Block(8, 1))
        self.norm, self.head = torch.nn.LayerNorm(8), torch.nn.Linear(8, 5)

    def forward(self, x):
        x = self.norm(self.blocks(self.patches(x).permute(0, 2, 3, 1)))
        return self.head(x.flatten(1, 2).mean(1))


@pytest.fixture(scope="module")
def module():
    return randomised(Swin()).eval()


def test_windows_put_together_are_features_with_their_channels_last(module):
    hooked, recorded = copy.deepcopy(module), {}
    part = hooked.blocks[1].mixed
    part.register_forward_hook(lambda _, inputs, outputs: recorded.update(features=outputs.detach().numpy()))
    part.register_full_backward_hook(lambda _, inputs, outputs: recorded.update(gradients=outputs[0].numpy()))
    hooked(torch.tensor(IMAGES))[:, 2].sum().backward()
    for method, weights in (("gradcam", recorded["gradients"].mean((1, 2), keepdims=True)), ("hirescam", None)):
        weights = recorded["gradients"] if weights is None else weights
        expected = enlarged(np.maximum((weights * recorded["features"]).sum(-1), 0), (16, 24))
        found = kam.explain(module, IMAGES, method, layer="blocks.1.mixed", targets=2).maps
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_the_default_layer_is_none_of_the_tensors_inside_attention(module):
    probe = kam.Probe(module, shape=IMAGES.shape[1:])
    assert probe.layer == "flatten"  # tokens of the grid
    assert probe.graph.shapes[probe.graph.slot_of[probe.layer]] == (None, 8, 12, 8)
    assert not any("matmul" in path or "softmax" in path or "qkv" in path for path in probe.layers)


def test_conservative_propagation_is_complete_and_equals_the_detached_module(module):
    detached, x = copy.deepcopy(module), torch.tensor(IMAGES, requires_grad=True)
    for block in detached.blocks:
        block.attend = lambda scores, values: torch.softmax(scores, -1).detach() @ values

    def normalize(norm, x):
        scale = (x.var(-1, keepdim=True, correction=0) + norm.eps).sqrt().detach()
        return (x - x.mean(-1, keepdim=True)) / scale * norm.weight + norm.bias

    for norm in (detached.norm, *(block.norm for block in detached.blocks)):
        norm.forward = lambda x, norm=norm: normalize(norm, x)
    detached(x)[:, 1].sum().backward()
    expected = (x * x.grad).detach().numpy().sum(1)
    e = kam.explain(module, IMAGES, "lrp", targets=1, composite="cp")
    np.testing.assert_allclose(e.maps, expected, atol=1e-5 * np.abs(expected).max())
    assert np.abs(e.residual).max() < 1e-5 * np.abs(expected).sum((1, 2)).max()


@pytest.mark.parametrize("method", ["attention_rollout", "attention_relevance", "legrad"])
def test_attention_methods_refuse_windows(module, method):
    message = (
        rf"{method} needs attention between all tokens of an image, but that of 'blocks.0.softmax' is within windows"
    )
    with pytest.raises(ValueError, match=message):
        kam.explain(module, IMAGES, method, grid=(2, 2))
