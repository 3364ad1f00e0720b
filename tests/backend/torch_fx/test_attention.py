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


def test_an_attention_with_a_mask_stays_one_step():
    class Masked(Transformer):
        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2)
            mask = torch.eye(35, dtype=torch.bool)
            return self.head(self.attention(x, x, x, attn_mask=~mask)[0].mean(1))

    module = randomised(Masked()).eval()
    paths = [node.path for node in kam.Probe(module, shape=SHAPE).graph.nodes]
    assert "attention" in paths and not any("softmax" in path for path in paths)


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
