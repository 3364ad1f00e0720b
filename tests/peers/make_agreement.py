"""Computes what SciPy and scikit-image make of pairs of maps and writes agreement.npz. Run by hand:

pip install scipy==1.17.1 scikit-image==0.25.2 && python tests/peers/make_agreement.py

The maps are of unit magnitude; where one of a pair has negative values, scikit-image gets (1 + map) / 2, as
keras_actmaps.metrics.agreement describes. Keys: maps, others (pairs, H, W), spearman and ssim (pairs,).
"""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np

SHAPE = (24, 17)
SSIM = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}


def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Similar maps and others, of one sign and of two, with many ties and with none."""
    random = np.random.default_rng(0)
    smooth = np.add.outer(np.sin(np.arange(SHAPE[0]) / 3), np.cos(np.arange(SHAPE[1]) / 4))
    yield random.random(SHAPE), random.random(SHAPE)
    yield smooth, smooth + random.normal(0, 0.3, SHAPE)
    yield smooth, -smooth
    yield np.maximum(smooth, 0), np.round(3 * random.random(SHAPE))
    yield np.round(smooth), np.maximum(smooth, 0.5)


def spearman(maps: np.ndarray, others: np.ndarray) -> list[float]:
    """Spearman's rank correlation of each pair, by SciPy."""
    from scipy.stats import spearmanr

    return [spearmanr(one.ravel(), two.ravel()).statistic for one, two in zip(maps, others)]


def ssim(maps: np.ndarray, others: np.ndarray) -> list[float]:
    """The structural similarity of each pair, by scikit-image."""
    from skimage.metrics import structural_similarity

    return [structural_similarity(*_shifted(one, two), **SSIM) for one, two in zip(maps, others)]


def _shifted(*pair: np.ndarray) -> np.ndarray:
    both = np.array(pair, "float64")
    return (1 + both) / 2 if both.min() < 0 else both


def main() -> None:
    """Write agreement.npz."""
    scaled = [[(one / np.abs(one).max()).astype("float32") for one in pair] for pair in pairs()]
    maps, others = map(np.stack, zip(*scaled))
    found = {"spearman": spearman(maps, others), "ssim": ssim(maps, others)}
    versions = [f"{name} {version(name)}" for name in ("scipy", "scikit-image")]
    target = Path(__file__).with_name("agreement.npz")
    np.savez_compressed(target, maps=maps, others=others, versions=versions, **found)


if __name__ == "__main__":
    main()
