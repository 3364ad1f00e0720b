"""nn.MultiheadAttention in steps: the attention of the module itself, token grids and LRP."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import keras  # noqa: E402
from helpers.torch_networks import IMAGES, SHAPE, Transformer, randomised  # noqa: E402

import keras_actmaps as kam  # noqa: E402

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="modules need Keras on PyTorch")


def module_and_tokens():
    module = randomised(Transformer()).eval()
    with torch.no_grad():
        tokens = module.patches(torch.tensor(IMAGES)).flatten(2).transpose(1, 2)
        tokens = torch.cat([module.token.expand(len(tokens), -1, -1), tokens], dim=1)
    return module, tokens


def test_the_rollout_is_that_of_the_attention_of_the_module():
    module, tokens = module_and_tokens()
    with torch.no_grad():
        normalized = module.norm(tokens)
        attention = module.attention(normalized, normalized, normalized)[1].numpy()
    probe = kam.Probe(module, shape=SHAPE)
    assert (probe.grid.shape, probe.grid.prefix, probe.layer) == ((5, 7), 1, "norm")
    images = torch.tensor(np.moveaxis(IMAGES, 1, -1).copy())
    found = kam.METHODS["attention_rollout"].function(probe, images, np.zeros(len(IMAGES), "int32")).values
    np.testing.assert_allclose(found.numpy().reshape(len(IMAGES), -1), attention[:, 0, 1:] / 2, atol=1e-6)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_the_graph_computes_what_the_module_computes(batch_first, bias):
    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = torch.nn.Conv2d(3, 8, 4, 4)
            self.attention = torch.nn.MultiheadAttention(8, 4, bias=bias, batch_first=batch_first)
            self.head = torch.nn.Linear(8, 3)

        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2)
            x = x if batch_first else x.transpose(0, 1)
            x = self.attention(x, x, x)[0]
            return self.head(x.mean(1 if batch_first else 0))

    module = randomised(Network()).eval()
    probe = kam.Probe(module, shape=SHAPE)
    assert any("softmax" in node.path for node in probe.graph.nodes)
    with torch.no_grad():
        expected = module(torch.tensor(IMAGES)).numpy()
    e = kam.explain(probe, IMAGES, "gradient_x_input", targets=1)
    np.testing.assert_allclose(e.scores, expected[:, 1], rtol=1e-5, atol=1e-6)
    e = kam.explain(probe, IMAGES, "lrp", targets=1, composite="cp")
    assert np.abs(e.residual).max() < 1e-5 * np.abs(e.maps).sum((1, 2)).max()


class Masked(torch.nn.Module):
    """Attention in steps of PyTorch, or fused, with queries, keys and values of one layer, under a mask."""

    def __init__(self, kind, mask):
        super().__init__()
        self.patches, self.qkv, self.head = torch.nn.Conv2d(3, 8, 4, 4), torch.nn.Linear(8, 24), torch.nn.Linear(8, 5)
        self.kind, self.mask = kind, mask

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        for _ in range(2):
            n, t, d = x.shape
            q, k, v = self.qkv(x).reshape(n, t, 3, 2, d // 2).permute(2, 0, 3, 1, 4).unbind(0)
            y = self.attend(q, k, v)
            x = x + y.transpose(1, 2).reshape(n, t, d)
        return self.head(x.mean(1))

    def attend(self, q, k, v):
        if self.kind == "fused":
            is_causal = self.mask is None
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, self.mask, is_causal=is_causal)
        return ((q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5 + self.bias()).softmax(dim=-1) @ v

    def bias(self):
        """What is added to the scores."""
        mask = torch.ones(35, 35, dtype=torch.bool).tril() if self.mask is None else self.mask
        return torch.where(mask, 0.0, -1e9) if mask.dtype == torch.bool else mask


MASKS = {
    "causal": lambda: None,
    "windows": lambda: torch.arange(35)[:, None] // 7 == torch.arange(35) // 7,
    "bias": lambda: torch.randn(2, 35, 35, generator=torch.Generator().manual_seed(2)),
    "infinite": lambda: torch.where(torch.eye(35, dtype=torch.bool), -torch.inf, 0.0),
}


def by_hand(module, target, holds_attention=False):
    """The attention of both layers, its gradients, and gradient x input, by autograd on the module in steps."""
    module, x, layers = copy.deepcopy(module), torch.tensor(IMAGES, requires_grad=True), []

    def attend(q, k, v):
        attention = torch.softmax(q @ k.transpose(-2, -1) / 2 + module.bias(), -1)
        attention = attention.detach() if holds_attention else attention
        layers.append(attention)
        return attention @ v

    module.attend = attend
    score = module(x)[:, target].sum()
    gradients = [] if holds_attention else torch.autograd.grad(score, layers, retain_graph=True)
    (gradient,) = torch.autograd.grad(score, x)
    return [one.detach().numpy() for one in layers], gradients, (gradient * x).detach().numpy().sum(1)


@pytest.mark.parametrize("kind", ["fused", "steps"])
@pytest.mark.parametrize("mask", MASKS)
def test_methods_on_masked_attention_are_those_of_autograd(kind, mask):
    module = randomised(Masked(kind, MASKS[mask]())).eval()
    for tensor in module.parameters():
        tensor.data *= 2  # attention far from uniform
    probe = kam.Probe(module, shape=SHAPE)
    assert (probe.grid.shape, probe.grid.prefix, len(probe.grid.attentions)) == ((5, 7), 0, 2)
    layers, gradients, _ = by_hand(module, 1)
    rollout = relevance = np.eye(35)
    for attention, gradient in zip(layers, gradients):
        rollout = (attention.mean(1) + np.eye(35)) / 2 @ rollout
        relevance = relevance + np.maximum(gradient.numpy() * attention, 0).mean(1) @ relevance
    images, targets = torch.tensor(np.moveaxis(IMAGES, 1, -1).copy()), np.ones(len(IMAGES), "int32")
    for method, expected in (("attention_rollout", rollout), ("attention_relevance", relevance)):
        found = kam.METHODS[method].function(probe, images, targets).values.detach().numpy()
        np.testing.assert_allclose(found.reshape(len(IMAGES), -1), expected.mean(1), atol=1e-6)


@pytest.mark.parametrize("mask", MASKS)
def test_propagation_holds_masked_attention(mask):
    module = randomised(Masked("fused", MASKS[mask]())).eval()
    e = kam.explain(module, IMAGES, "lrp", targets=2, composite="cp")
    assert (np.abs(e.residual) < 1e-5 * np.abs(e.maps).sum((1, 2))).all()
    expected = by_hand(module, 2, holds_attention=True)[2]
    np.testing.assert_allclose(e.maps, expected, atol=1e-5 * np.abs(expected).max())
    e = kam.explain(module, IMAGES, "deeplift", targets=2, baseline=1.0)
    with torch.no_grad():
        change = (module(torch.tensor(IMAGES)) - module(torch.ones(IMAGES.shape)))[:, 2].numpy()
    np.testing.assert_allclose(e.maps.sum((1, 2)), change, atol=2e-5 * np.abs(e.maps).sum((1, 2)).max())
    whole = by_hand(module, 2)[2]
    found = kam.explain(module, IMAGES, "gradient_x_input", targets=2, channels="sum").maps
    np.testing.assert_allclose(found, whole, atol=1e-5 * np.abs(whole).max())


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("mask", ["attn", "heads", "padding", "both"])
def test_a_masked_module_has_the_attention_that_it_returns(mask, average):
    hidden = torch.eye(35, dtype=torch.bool)
    random = torch.randn(2, 35, 35, generator=torch.Generator().manual_seed(0))

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.patches, self.head = torch.nn.Conv2d(3, 8, 4, 4), torch.nn.Linear(8, 5)
            self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2)
            return self.head(self.attend(x)[0].mean(1))

        def attend(self, x):
            zeros = 0 * x[:, :, 0]  # with the number of images, which a constant does not have
            masks = {
                "attn": hidden,
                "both": hidden.float() * -3,
                "heads": (random + zeros[:, None, None]).flatten(0, 1),
            }
            padding = torch.arange(35) + zeros > 20 if mask in ("padding", "both") else None
            return self.attention(x, x, x, padding, attn_mask=masks.get(mask), average_attn_weights=average)

    module = randomised(Network()).eval()
    with torch.no_grad():
        attention = module.attend(module.patches(torch.tensor(IMAGES)).flatten(2).transpose(1, 2))[1].numpy()
        expected = module(torch.tensor(IMAGES)).numpy()
    rows = (attention if average else attention.mean(1)).mean(1) / 2 + 1 / 70
    probe = kam.Probe(module, shape=SHAPE)
    images = torch.tensor(np.moveaxis(IMAGES, 1, -1).copy())
    found = kam.METHODS["attention_rollout"].function(probe, images, np.zeros(len(IMAGES), "int32"))
    np.testing.assert_allclose(found.values.numpy().reshape(len(IMAGES), -1), rows, atol=1e-6)
    np.testing.assert_allclose(found.outputs.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("is_masked", [True, False])
def test_an_encoder_of_pytorch_is_opened(norm_first, is_masked):
    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.patches, self.head = torch.nn.Conv2d(3, 8, 4, 4), torch.nn.Linear(8, 5)
            settings = {"activation": "gelu", "batch_first": True, "norm_first": norm_first}
            layer = torch.nn.TransformerEncoderLayer(8, 2, 16, **settings)
            self.encoder = torch.nn.TransformerEncoder(layer, 2, torch.nn.LayerNorm(8), enable_nested_tensor=False)
            self.mask = MASKS["windows"]().logical_not() if is_masked else None

        def forward(self, x):
            return self.head(self.encoder(self.patches(x).flatten(2).transpose(1, 2), self.mask).mean(1))

    module = randomised(Network()).eval()
    probe = kam.Probe(module, shape=SHAPE)
    assert [one.path for one in probe.grid.attentions] == [f"encoder.layers.{k}.self_attn.softmax" for k in (0, 1)]
    x = torch.tensor(IMAGES, requires_grad=True)
    scores = module(x)[:, 3]
    scores.sum().backward()
    e = kam.explain(probe, IMAGES, "gradient_x_input", targets=3, channels="sum")
    np.testing.assert_allclose(e.scores, scores.detach().numpy(), rtol=1e-5, atol=1e-6)
    expected = (x.grad * x).detach().numpy().sum(1)
    np.testing.assert_allclose(e.maps, expected, atol=1e-5 * np.abs(expected).max())
    residual = kam.explain(probe, IMAGES, "lrp", composite="cp", targets=3).residual
    assert np.abs(residual).max() < 1e-5 * np.abs(expected).sum((1, 2)).max()


def test_an_attention_without_steps_stays_one_operation():
    class Grouped(Masked):
        def attend(self, q, k, v):
            return torch.nn.functional.scaled_dot_product_attention(q, k[:, :1], v[:, :1], enable_gqa=True)

    module = randomised(Grouped("fused", None)).eval()
    probe = kam.Probe(module, shape=SHAPE)
    assert not any("softmax" in node.path for node in probe.graph.nodes)
    with torch.no_grad():
        expected = module(torch.tensor(IMAGES)).numpy()
    np.testing.assert_allclose(kam.explain(probe, IMAGES, "saliency", targets=1).scores, expected[:, 1], rtol=1e-4)


def test_conservative_propagation_is_complete_and_equals_the_detached_module():
    module, _ = module_and_tokens()
    e = kam.explain(module, IMAGES, "lrp", targets=2, composite="cp")
    assert (np.abs(e.residual) < 1e-5 * np.abs(e.scores)).all()
    x = torch.tensor(IMAGES, requires_grad=True)
    tokens = copy.deepcopy(module.patches)(x).flatten(2).transpose(1, 2)
    tokens = torch.cat([module.token.expand(len(tokens), -1, -1), tokens], dim=1)
    centered = tokens - tokens.mean(-1, keepdim=True)
    scale = (tokens.var(-1, keepdim=True, correction=0) + module.norm.eps).sqrt().detach()
    y = centered / scale * module.norm.weight + module.norm.bias
    attention = module.attention(y, y, y, average_attn_weights=False)[1].detach()
    weight, bias = module.attention.in_proj_weight[16:], module.attention.in_proj_bias[16:]
    values = (y @ weight.T + bias).unflatten(-1, (2, 4)).transpose(1, 2)
    mixed = module.attention.out_proj((attention @ values).transpose(1, 2).flatten(2))
    module.head((tokens + mixed)[:, 0])[:, 2].sum().backward()
    expected = (x * x.grad).detach().numpy().sum(1)
    np.testing.assert_allclose(e.maps, expected, atol=1e-5 * np.abs(expected).max())
