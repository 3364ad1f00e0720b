"""Computes the metrics of xplique and captum on the networks of networks.py and writes faithfulness.npz.

Run by hand, on a CPU, in the environment that make_peers.py describes: python tests/peers/make_faithfulness.py

xplique's Deletion and Insertion return the mean of the images' scores after each step; they are run on one image at a
time. captum's infidelity multiplies map and perturbation; here the perturbation is 1 in the patch that is hidden, as it
advises for maps that are multiplied by the inputs (`multiply_by_inputs`). Random numbers are drawn here and stored.
"""

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from networks import PICTURES, TARGETS, images, keras_model

SAMPLES = 12
RADIUS = 0.05
RUNS = ({"steps": 7}, {"steps": 5, "baseline_mode": 0.5, "max_percentage_perturbed": 0.7})


def maps_for(network: str) -> np.ndarray:
    """Maps of two images, with no two values alike."""
    return np.random.default_rng(30).normal(size=images(network).shape[:3]).astype("float32")


def patches_for(network: str) -> np.ndarray:
    """Random patches of 2x3 pixels, (samples, H, W): 1 inside."""
    patches = np.zeros((SAMPLES, *images(network).shape[1:3]))
    free = np.array(patches.shape[1:]) - (1, 2)
    for patch, (top, left) in zip(patches, np.random.default_rng(0).integers(0, free, (SAMPLES, 2))):
        patch[top : top + 2, left : left + 3] = 1
    return patches


def xplique_metrics(network: str) -> Iterator[tuple[str, np.ndarray]]:
    """Deletion and insertion: the areas and the curves."""
    import xplique.metrics as xplique

    model, x, maps = keras_model(network, linear=True), images(network), maps_for(network)
    one_hot = np.eye(model.output_shape[-1], dtype="float32")[TARGETS[network]]
    for name in ("Deletion", "Insertion"):
        for settings in RUNS:
            for activation in (None, "softmax"):
                areas, steps = [], []
                for n in range(2):
                    row = slice(n, n + 1)
                    metric = getattr(xplique, name)(model, x[row], one_hot[row], activation=activation, **settings)
                    steps.append(list(metric.detailed_evaluate(maps[row]).values()))
                    areas.append(metric(maps[row]))
                key = f"xplique.{name}(steps={settings['steps']}, {activation})/{network}"
                yield key, np.array(areas)
                yield f"{key}/curve", np.array(steps)


def captum_metrics(network: str) -> Iterator[tuple[str, np.ndarray]]:
    """Infidelity, and the greatest sensitivity of saliency maps."""
    yield from _infidelity(network)
    yield from _sensitivity(network)


def _infidelity(network: str) -> Iterator[tuple[str, np.ndarray]]:
    import torch
    from captum.metrics import infidelity
    from peer_torch_networks import inputs, torch_model

    model, (x, targets), hidden = torch_model(network), inputs(network), torch.tensor(patches_for(network))[:, None]

    def hide(x: Any) -> tuple[Any, Any]:
        return hidden.expand_as(x), (1 - hidden) * x

    shares = torch.tensor(maps_for(network)).double()[:, None].expand_as(x) / x.shape[1]
    for normalize in (True, False):
        settings = {"n_perturb_samples": SAMPLES, "normalize": normalize}
        rows = zip(x[:, None], shares[:, None], targets.tolist())
        found = [infidelity(model, hide, image, share, target=target, **settings) for image, share, target in rows]
        yield f"captum.infidelity(normalize={normalize})/{network}", torch.cat(found).numpy()


def _sensitivity(network: str) -> Iterator[tuple[str, np.ndarray]]:
    import torch
    from captum.attr import Saliency
    from captum.metrics import sensitivity_max
    from peer_torch_networks import inputs, torch_model

    model, (x, targets) = torch_model(network), inputs(network)
    drawn = [np.random.default_rng([0, n]).uniform(-1, 1, images(network).shape[1:]) for n in range(SAMPLES)]
    noise = torch.tensor(np.moveaxis(np.stack(drawn).astype("float32"), -1, 1)).double()

    def maps(x: Any, target: int) -> tuple[Any]:
        rows = x[0] if isinstance(x, tuple) else x  # captum wraps the image, but not those near it
        return (Saliency(model).attribute(rows, target=target).amax(dim=1, keepdim=True),)

    def near(x: Any, radius: float) -> Any:
        return x + radius * (x[0].max() - x[0].min()) * noise

    settings = {"perturb_radius": RADIUS, "n_perturb_samples": SAMPLES}
    rows = zip(x[:, None], targets.tolist())
    found = [sensitivity_max(maps, image, near, target=target, **settings) for image, target in rows]
    yield f"captum.sensitivity_max/{network}", torch.cat(found).detach().numpy()


METRICS = {"xplique": xplique_metrics, "captum": captum_metrics}


def main() -> None:
    """Write faithfulness.npz."""
    found: dict[str, Any] = {}
    for network in PICTURES:
        found |= {f"maps/{network}": maps_for(network), f"patches/{network}": patches_for(network)}
        for metrics in METRICS.values():
            found |= dict(metrics(network))
    packages = ("torch", "captum", "xplique", "tensorflow", "keras", "numpy")
    versions = json.dumps({package: version(package) for package in packages})
    target = Path(__file__).with_name("faithfulness.npz")
    np.savez_compressed(target, versions=versions, **found)
    print(f"{len(found)} arrays, {target.stat().st_size / 1024:.0f} KiB: {target}\n{versions}")


if __name__ == "__main__":
    main()
