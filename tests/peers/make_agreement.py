"""Computes what SciPy and scikit-image make of pairs of maps and writes agreement.npz. Run by hand:

pip install scipy==1.17.1 scikit-image==0.25.2 && python tests/peers/make_agreement.py

The maps are of unit magnitude; where one of a pair has negative values, scikit-image gets (1 + map) / 2, as is said in
keras_actmaps.metrics.agreement. Keys: maps, others (pairs,H,W), spearman and ssim (pairs,).
"""

from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity

random = np.random.default_rng(0)
SHAPE = (24, 17)
smooth = np.add.outer(np.sin(np.arange(SHAPE[0]) / 3), np.cos(np.arange(SHAPE[1]) / 4))


def pairs():
    """Maps alike and not, of one sign and of two, with many ties and with none."""
    yield random.random(SHAPE), random.random(SHAPE)
    yield smooth, smooth + random.normal(0, 0.3, SHAPE)
    yield smooth, -smooth
    yield np.maximum(smooth, 0), np.round(3 * random.random(SHAPE))
    yield np.round(smooth), np.maximum(smooth, 0.5)


pairs = [[(one / np.abs(one).max()).astype("float32") for one in pair] for pair in pairs()]
settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}


def shifted(pair):
    pair = np.array(pair, "float64")
    return (1 + pair) / 2 if pair.min() < 0 else pair


found = {
    "spearman": [spearmanr(one.ravel(), two.ravel()).statistic for one, two in pairs],
    "ssim": [structural_similarity(*shifted(pair), **settings) for pair in pairs],
}
maps, others = zip(*pairs)
versions = [f"{name} {version(name)}" for name in ("scipy", "scikit-image")]
np.savez_compressed(Path(__file__).with_name("agreement.npz"), maps=maps, others=others, versions=versions, **found)
