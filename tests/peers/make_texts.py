"""Computes what captum attributes to token ids and writes texts.npz. Run by hand: python tests/peers/make_texts.py

Two networks on ids (2, 6) with float64 weights: `convolution` (embedding, convolution, tanh, flatten, linear) and
`recurrent` (embedding, tanh RNN, its last state, linear). The baseline is the id 3 at each place.

- `LayerIntegratedGradients/NETWORK`: at the embedding, summed over its 4 values, 64 Gauss-Legendre nodes.
- `FeatureAblation/NETWORK`: each id replaced by the baseline alone.
"""

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

IDS = np.array([[5, 2, 9, 1, 4, 7], [8, 6, 2, 2, 3, 10]])
TARGETS, BASELINE, NETWORKS = [1, 2], 3, ("convolution", "recurrent")
WORDS, WIDTH, HIDDEN, CLASSES = 12, 4, 5, 3


def weights(network: str) -> dict[str, np.ndarray]:
    """The weights of a network in Keras' layout."""
    random = np.random.default_rng(NETWORKS.index(network))
    shapes = {
        "embedding": (WORDS, WIDTH),
        "kernel": (3, WIDTH, HIDDEN) if network == "convolution" else (WIDTH, HIDDEN),
        "recurrent": (HIDDEN, HIDDEN),
        "bias": (HIDDEN,),
        "logits": (4 * HIDDEN if network == "convolution" else HIDDEN, CLASSES),
        "logits_bias": (CLASSES,),
    }
    return {name: random.normal(0, 0.7, shape) for name, shape in shapes.items()}


def torch_model(network: str) -> Any:
    """The network in PyTorch, float64."""
    import torch
    from torch import nn

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            is_convolution = network == "convolution"
            self.embedding = nn.Embedding(WORDS, WIDTH)
            self.body = nn.Conv1d(WIDTH, HIDDEN, 3) if is_convolution else nn.RNN(WIDTH, HIDDEN, batch_first=True)
            self.logits = nn.Linear(4 * HIDDEN if is_convolution else HIDDEN, CLASSES)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            x = self.embedding(ids)
            if network == "recurrent":
                return self.logits(self.body(x)[1][0])
            return self.logits(torch.tanh(self.body(x.mT)).mT.flatten(1))

    model, own = Classifier().double(), weights(network)
    named = {"embedding.weight": own["embedding"], "logits.weight": own["logits"].T, "logits.bias": own["logits_bias"]}
    if network == "convolution":
        named |= {"body.weight": own["kernel"].transpose(2, 1, 0), "body.bias": own["bias"]}
    else:
        named |= {"body.weight_ih_l0": own["kernel"].T, "body.weight_hh_l0": own["recurrent"].T}
        named |= {"body.bias_ih_l0": own["bias"], "body.bias_hh_l0": 0 * own["bias"]}
    model.load_state_dict({name: torch.tensor(value) for name, value in named.items()})
    return model


def maps() -> Iterator[tuple[str, np.ndarray]]:
    """(key, values) of all that is stored."""
    import torch
    from captum import attr

    ids, start = torch.tensor(IDS), torch.full(IDS.shape, BASELINE)
    for network in NETWORKS:
        model = torch_model(network)
        yield f"logits/{network}", model(ids).detach().numpy()
        integrated = attr.LayerIntegratedGradients(model, model.embedding)
        found = integrated.attribute(ids, start, TARGETS, n_steps=64, method="gausslegendre")
        yield f"LayerIntegratedGradients/{network}", found.sum(-1).detach().numpy()
        yield f"FeatureAblation/{network}", attr.FeatureAblation(model).attribute(ids, start, TARGETS).numpy()


def main() -> None:
    """Write texts.npz."""
    versions = json.dumps({package: version(package) for package in ("torch", "captum", "numpy")})
    np.savez_compressed(Path(__file__).with_name("texts.npz"), versions=versions, **dict(maps()))


if __name__ == "__main__":
    main()
