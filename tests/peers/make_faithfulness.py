"""Computes what xplique and captum say of maps on the networks of networks.py and writes faithfulness.npz.

Run by hand, on a CPU, in the environment that make_peers.py describes: python tests/peers/make_faithfulness.py

xplique's Deletion and Insertion give the mean of the images' scores after each step; they are run on one image at a
time. captum's infidelity multiplies map and perturbation; here this is 1 in the patch that is hidden, as it advises for
maps that are multiplied by the inputs (`multiply_by_inputs`). What is drawn at random is drawn here and stored.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import xplique.metrics as xplique
from captum.attr import Saliency
from captum.metrics import infidelity, sensitivity_max
from networks import TARGETS, images, keras_model
from peer_torch_networks import torch_model

PICTURES = ("pooled", "residual")
SAMPLES = 12
RADIUS = 0.05


def maps_of(network: str) -> np.ndarray:
    """Maps of two images, with no two values alike."""
    return np.random.default_rng(30).normal(size=images(network).shape[:3]).astype("float32")


def curves():
    for network in PICTURES:
        model, x, maps = keras_model(network, linear=True), images(network), maps_of(network)
        one_hot = np.eye(model.output_shape[-1], dtype="float32")[TARGETS[network]]
        yield f"maps/{network}", maps
        for name in ("Deletion", "Insertion"):
            for settings in ({"steps": 7}, {"steps": 5, "baseline_mode": 0.5, "max_percentage_perturbed": 0.7}):
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


def channels_first(network: str) -> torch.Tensor:
    return torch.tensor(np.moveaxis(images(network), -1, 1)).double()


def infidelities():
    for network in PICTURES:
        model, x = torch_model(network), channels_first(network)
        free = np.array(x.shape[2:]) - (1, 2)
        patches = np.zeros((SAMPLES, *x.shape[2:]))
        for patch, (top, left) in zip(patches, np.random.default_rng(0).integers(0, free, (SAMPLES, 2))):
            patch[top : top + 2, left : left + 3] = 1
        yield f"patches/{network}", patches

        def hide(x, patches=patches):
            hidden = torch.tensor(patches)[:, None]
            return hidden.expand_as(x), (1 - hidden) * x

        shares = torch.tensor(maps_of(network)).double()[:, None].expand_as(x) / x.shape[1]
        for normalize in (True, False):
            settings = {"n_perturb_samples": SAMPLES, "normalize": normalize}
            rows = zip(x[:, None], shares[:, None], TARGETS[network])
            found = [infidelity(model, hide, image, share, target=target, **settings) for image, share, target in rows]
            yield f"captum.infidelity(normalize={normalize})/{network}", torch.cat(found)


def sensitivities():
    for network in PICTURES:
        model, x = torch_model(network), channels_first(network)
        drawn = [np.random.default_rng([0, n]).uniform(-1, 1, images(network).shape[1:]) for n in range(SAMPLES)]
        noise = torch.tensor(np.moveaxis(np.stack(drawn).astype("float32"), -1, 1)).double()

        def maps(x, target, model=model):
            images = x[0] if isinstance(x, tuple) else x  # captum wraps the image and not those near it
            return (Saliency(model).attribute(images, target=target).amax(dim=1, keepdim=True),)

        def near(x, radius, noise=noise):
            return x + radius * (x[0].max() - x[0].min()) * noise

        settings = {"perturb_radius": RADIUS, "n_perturb_samples": SAMPLES}
        rows = zip(x[:, None], TARGETS[network])
        found = [sensitivity_max(maps, image, near, target=target, **settings) for image, target in rows]
        yield f"captum.sensitivity_max/{network}", torch.cat(found)


def main():
    found = {key: np.asarray(values) for part in (curves, infidelities, sensitivities) for key, values in part()}
    packages = ("torch", "captum", "xplique", "tensorflow", "keras", "numpy")
    versions = json.dumps({package: version(package) for package in packages})
    target = Path(__file__).with_name("faithfulness.npz")
    np.savez_compressed(target, versions=versions, **found)
    print(f"{len(found)} arrays, {target.stat().st_size / 1024:.0f} KiB: {target}\n{versions}")


if __name__ == "__main__":
    main()
