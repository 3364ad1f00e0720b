"""Computes guided integrated gradients by PAIR's package `saliency` and writes guided_ig.npz. Run by hand:

pip install --no-deps saliency==0.2.1 && python tests/peers/make_guided_ig.py

Keys: first (F, hidden) and second (hidden,), the kernels of the network tanh(x first) second; inputs (2, F) and a
baseline (F,), which equals the inputs in some features; `steps/fraction/max_dist`, maps (2, F) in float64.
"""

from importlib.metadata import version
from pathlib import Path

import numpy as np

SETTINGS = ((1, 0.25, 1.0), (20, 0.25, 0.02), (20, 0.25, 1.0), (9, 0.04, 0.3), (15, 1.0, 0.1), (20, 0.5, 0.0))
FEATURES, HIDDEN = 50, 12


def network() -> tuple[np.ndarray, np.ndarray]:
    """The kernels of two layers; two rows of the first are equal and two are zero, for ties of the gradients."""
    random = np.random.default_rng(0)
    first, second = random.normal(0, 0.4, (FEATURES, HIDDEN)), random.normal(size=HIDDEN)
    first[3], first[7:9] = first[2], 0
    return first.astype("float32"), second.astype("float32")


def inputs() -> tuple[np.ndarray, np.ndarray]:
    """Inputs and a baseline."""
    random = np.random.default_rng(1)
    baseline = random.normal(size=FEATURES).astype("float32")
    rows = random.normal(size=(2, FEATURES)).astype("float32")
    rows[:, ::6] = baseline[::6]
    return rows, baseline


def explained(row: np.ndarray, steps: int, fraction: float, max_dist: float) -> np.ndarray:
    """PAIR's map of one input. Its np.quantile has a keyword that NumPy 2.4 no longer has."""
    from saliency.core import guided_ig
    from saliency.core.base import INPUT_OUTPUT_GRADIENTS

    first, second = (kernel.astype("float64") for kernel in network())

    def model(batch: np.ndarray, call_model_args: object = None, expected_keys: object = None) -> dict:
        return {INPUT_OUTPUT_GRADIENTS: ((1 - np.tanh(batch @ first) ** 2) * second) @ first.T}

    quantile = np.quantile
    np.quantile = lambda values, q, interpolation: quantile(values, q, method=interpolation)
    try:
        return guided_ig.GuidedIG().GetMask(
            row, model, x_baseline=inputs()[1], x_steps=steps, fraction=fraction, max_dist=max_dist
        )
    finally:
        np.quantile = quantile


def computed() -> dict[str, np.ndarray]:
    """The maps for each of SETTINGS."""
    rows, _ = inputs()
    return {"/".join(map(str, one)): np.stack([explained(row, *one) for row in rows]) for one in SETTINGS}


def main() -> None:
    """Write guided_ig.npz."""
    (first, second), (rows, baseline) = network(), inputs()
    given = {"first": first, "second": second, "inputs": rows, "baseline": baseline}
    path = Path(__file__).with_name("guided_ig.npz")
    np.savez_compressed(path, versions=[f"saliency {version('saliency')}"], **given, **computed())


if __name__ == "__main__":
    main()
