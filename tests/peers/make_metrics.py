"""Computes metrics of Quantus and xplique on the networks of networks.py and writes metrics.npz.

Run by hand, on a CPU, in the environment that make_peers.py describes, with Quantus and what it imports besides:
pip install --no-deps quantus==0.6.0 cachetools; KERAS_BACKEND=tensorflow python tests/peers/make_metrics.py

The maps are gradients times inputs, summed over the channels, or random numbers. Draws of the peers are stored with
their values.
"""

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from networks import PICTURES, TARGETS, images, keras_model
from torchvision_stand_in import torchvision_stand_in

GRIDS = {"pooled": 4, "residual": 2}  # which divide the sides
SETS = 40
SAMPLES, RADIUS = 6, 0.01  # of relative input stability


def maps_for(network: str) -> np.ndarray:
    """Maps of two images, with no two values alike."""
    return np.random.default_rng(40).normal(size=images(network).shape[:3]).astype("float32")


def gradient_x_input(model: Any, inputs: Any, targets: Any, **_: Any) -> np.ndarray:
    """The maps of a PyTorch model, (N, 1, H, W), as Quantus calls for them."""
    import torch

    x = torch.tensor(np.asarray(inputs)).to(next(model.parameters()).dtype).requires_grad_()
    model(x)[torch.arange(len(x)), torch.tensor(np.asarray(targets))].sum().backward()
    return (x * x.grad).sum(1, keepdim=True).detach().numpy()


def labels_for(network: str) -> np.ndarray:
    """Six segments of 2 columns and half the rows each, (H, W), without an order."""
    height, width = images(network).shape[1:3]
    cells = np.indices((height, width)) // np.array([height // 2, -(-width // 3)])[:, None, None]
    return np.array([4, 0, 2, 5, 1, 3])[cells[0] * 3 + cells[1]]


def quantus_metrics(network: str) -> Iterator[tuple[str, np.ndarray]]:
    """Quantus' metrics by their key; importing it needs a stand-in for torchvision, through zennit."""
    with torchvision_stand_in():
        import quantus
    from peer_torch_networks import torch_model

    options = {"disable_warnings": True, "display_progressbar": False}
    model, x, targets = torch_model(network), np.moveaxis(images(network), -1, 1), np.array(TARGETS[network])
    arguments = {"model": model, "x_batch": x.astype("float64"), "y_batch": targets, "channel_first": True}
    yield f"quantus.RandomLogit/{network}", _random_logit(quantus, model, arguments, options)
    arguments["model"] = model.float()  # as which Quantus passes images
    arguments["a_batch"] = maps_for(network)[:, None].astype("float64")
    yield f"quantus.IROF/{network}", _irof(quantus, arguments, options, labels_for(network))
    yield f"quantus.RelativeInputStability/{network}", _relative_stability(quantus, arguments, options)
    yield f"quantus.EffectiveComplexity/{network}", _effective_complexity(quantus, arguments, options)


def _effective_complexity(quantus: Any, arguments: dict, options: dict) -> np.ndarray:
    """Of the maps with 0 where their magnitude is below 1; one at a time, as Quantus divides by the batch's largest."""
    found = []
    for n in range(2):
        one = {key: value[n : n + 1] for key, value in arguments.items() if key.endswith("_batch")}
        one["a_batch"] = np.where(np.abs(one["a_batch"]) > 1, one["a_batch"], 0)
        found += quantus.EffectiveComplexity(eps=0.5, **options)(**arguments | one)
    return np.array(found, "float64")


def _relative_stability(quantus: Any, arguments: dict, options: dict) -> np.ndarray:
    """Of gradients times inputs, with the noise that `relative_input_stability` draws from seed 0."""
    x, samples = arguments["x_batch"], iter(range(SAMPLES))
    shape = (*x.shape[2:], x.shape[1])

    def near(arr: np.ndarray, **_: Any) -> np.ndarray:
        drawn = np.random.default_rng([0, next(samples)]).uniform(-1, 1, shape).astype("float32")
        return arr + RADIUS * np.ptp(arr, axis=1, keepdims=True) * np.moveaxis(drawn, -1, 0).ravel()

    metric = quantus.RelativeInputStability(nr_samples=SAMPLES, perturb_func=near, **options)
    maps = gradient_x_input(arguments["model"], x, arguments["y_batch"])
    return np.array(metric(**arguments | {"a_batch": maps}, explain_func=gradient_x_input))


def _irof(quantus: Any, arguments: dict, options: dict, labels: np.ndarray) -> np.ndarray:
    """IROF with our segments, which are replaced by 0.3; Quantus needs numpy.trapz, which NumPy 2.4 does not have."""
    utils = quantus.helpers.utils
    utils.get_superpixel_segments = lambda img, segmentation_method: labels
    utils.np.trapz = np.trapezoid

    def replace(arr: np.ndarray, mask: np.ndarray, **_: Any) -> np.ndarray:
        return np.where(mask, 0.3, arr)  # Quantus' own refuses images of several channels

    metric = quantus.IROF(perturb_func=replace, return_aggregate=False, normalise=False, **options)
    return np.array(metric(**arguments, softmax=True))


def _random_logit(quantus: Any, model: Any, arguments: dict, options: dict) -> np.ndarray:
    """Spearman's correlation for each shift of the targets: Quantus is run with seeds until it has drawn them all."""
    (x, targets), found = (arguments["x_batch"], arguments["y_batch"]), {}
    classes = int(model(_tensor(x)).shape[1])
    drawn: list[np.ndarray] = []

    def explain(model: Any, inputs: Any, targets: Any, **_: Any) -> np.ndarray:
        drawn.append(np.asarray(targets))
        return gradient_x_input(model, inputs, targets)

    similar = quantus.similarity_func.correlation_spearman
    for seed in range(100):
        metric = quantus.RandomLogit(similarity_func=similar, num_classes=classes, seed=seed, **options)
        maps = gradient_x_input(model, x, targets)
        values = metric(**arguments, a_batch=maps, explain_func=explain)
        shifts = (drawn[-1] - targets) % classes
        if len(set(shifts.tolist())) == 1:
            found[int(shifts[0])] = values
    return np.array([found[shift] for shift in range(1, classes)])


def _tensor(array: np.ndarray) -> Any:
    import torch

    return torch.tensor(array)


def xplique_metrics(network: str) -> Iterator[tuple[str, np.ndarray]]:
    """xplique's metrics by their key."""
    import xplique.metrics as xplique

    yield f"xplique.AverageGain/{network}", _average_gain(xplique, network)
    yield from _mu_fidelity(xplique, network)


def _average_gain(xplique: Any, network: str) -> np.ndarray:
    """For each class as the target; xplique takes the magnitudes of maps."""
    model, x, maps = keras_model(network, linear=True), images(network), np.abs(maps_for(network))
    one_hot = np.eye(model.output_shape[-1], dtype="float32")
    found = []
    for target in range(one_hot.shape[0]):
        labels = np.repeat(one_hot[target : target + 1], len(x), axis=0)
        metric = xplique.AverageGainMetric(model, x, labels, activation="softmax")
        found.append(np.asarray(metric.detailed_evaluate(x, labels, maps)))
    return np.array(found)


def _mu_fidelity(xplique: Any, network: str) -> Iterator[tuple[str, np.ndarray]]:
    """MuFidelity of each image, and the sets of patches (samples, patches) that it has drawn."""
    import tensorflow as tf

    model, x, maps, grid = keras_model(network, linear=True), images(network), maps_for(network), GRIDS[network]
    one_hot = np.eye(model.output_shape[-1], dtype="float32")[TARGETS[network]]
    values, sets = [], []
    for n in range(2):
        tf.random.set_seed(1)
        row = slice(n, n + 1)
        metric = xplique.MuFidelity(model, x[row], one_hot[row], grid_size=grid, subset_percent=0.3, nb_samples=SETS)
        draw = metric._perturb_samples(x[row], SETS)
        metric._perturb_samples = lambda *_, draw=draw: draw
        values.append(metric(maps[row]))
        kept = draw[1].numpy()[0, ..., 0]
        sets.append(kept[:, :: kept.shape[1] // grid, :: kept.shape[2] // grid].reshape(SETS, -1) == 0)
    np.testing.assert_array_equal(*sets)
    yield f"xplique.MuFidelity/{network}", np.array(values)
    yield f"sets/{network}", sets[0]


METRICS = {"quantus": quantus_metrics, "xplique": xplique_metrics}


def main() -> None:
    """Write metrics.npz."""
    found: dict[str, Any] = {}
    for network in PICTURES:
        found[f"maps/{network}"] = maps_for(network)
        for metrics in METRICS.values():
            found |= dict(metrics(network))
    versions = json.dumps({package: version(package) for package in ("torch", "quantus", "xplique", "keras", "numpy")})
    target = Path(__file__).with_name("metrics.npz")
    np.savez_compressed(target, versions=versions, **found)
    print(f"{len(found)} arrays, {target.stat().st_size / 1024:.0f} KiB: {target}\n{versions}")


if __name__ == "__main__":
    main()
