"""Maps by zennit, in float64.

- It divides by z + sign(z) `stabilizer` in every rule: 1e-12 here instead of 1e-6, since ours divide by z. Epsilon has
  an epsilon of its own, 1e-6 where none is named. Average pooling and sums get the epsilon rule, activations pass
  relevance unchanged, and max pooling routes it as the gradient does. `no bias` is zero_params="bias": the bias has no
  part in a denominator.
- SequentialMergeBatchNorm leaves the merged layer its eps, so that it still divides by sqrt(1 + eps), 5e-4 for each
  layer; Merged corrects that.
"""

from collections.abc import Iterator
from typing import Any

import torch
from networks import PICTURES
from peer_torch_networks import inputs, torch_model
from torchvision_stand_in import torchvision_stand_in

with torchvision_stand_in():
    import zennit.composites
    import zennit.layer
    from zennit import rules
    from zennit.attribution import Gradient
    from zennit.canonizers import SequentialMergeBatchNorm
    from zennit.types import Linear


class Merged(SequentialMergeBatchNorm):
    """zennit's canonizer, after which batch normalization is the identity."""

    def register(self, linears, batch_norm):
        super().register(linears, batch_norm)
        batch_norm.eps = 0.0


class Stacked(torch.nn.Module):
    """The sum of two branches in the form that zennit has a rule for: one stacked tensor, summed by its own module."""

    def __init__(self):
        super().__init__()
        self.sum = zennit.layer.Sum(-1)

    def forward(self, first, second):
        return self.sum(torch.stack([first, second], dim=-1))


def maps_of(network: str) -> Iterator[tuple[str, Any]]:
    """(composite and settings, maps) of all that is compared on a network."""
    yield from relevance(network)
    yield from gradients(network)


def relevance(network: str) -> Iterator[tuple[str, Any]]:
    """LRP with and without the bias in the denominators."""
    x, targets = inputs(network)
    low, high = (0.0, 1.0) if network == "pooled" else (-1.0, 1.0)
    for bias, suffix in (({}, ""), ({"zero_params": "bias"}, ", no bias")):
        if bias and network == "mixed":
            continue  # ill-conditioned: zennit in float32 differs by 6e-4 from zennit in float64
        for name, composite in composites(low, high, **bias):
            composite.canonizers = [Merged()]
            with Gradient(torch_model(network, Stacked()), composite) as attributor:
                chosen = torch.eye(attributor.model(x).shape[1], dtype=x.dtype)[targets]
                maps = attributor(x, lambda outputs, chosen=chosen: outputs * chosen)[1]
            yield f"{name}{suffix}", maps


def composites(low: float, high: float, **bias: str) -> Iterator[tuple[str, Any]]:
    """(name, composite): one rule for all layers, another for the first layer, and zennit's own composites."""
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


def gradients(network: str) -> Iterator[tuple[str, Any]]:
    """Guided backpropagation and deconvnet."""
    if network not in PICTURES:
        return
    x, targets = inputs(network)
    for name in ("GuidedBackprop", "DeconvNet"):
        with Gradient(torch_model(network), getattr(zennit.composites, name)()) as attributor:
            chosen = torch.eye(attributor.model(x).shape[1], dtype=x.dtype)[targets]
            yield name, attributor(x, chosen)[1]
