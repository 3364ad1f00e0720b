"""The estimators of `sobol` and `hsic` against those of xplique and SALib, where these are installed."""

import numpy as np
import pytest
from helpers import BACKEND

from keras_actmaps.methods.hsic import dependence
from keras_actmaps.methods.sobol import replicated_design, total_indices


def xplique_estimators():
    if BACKEND != "tensorflow":
        pytest.skip("xplique runs Keras on TensorFlow only")
    return pytest.importorskip("xplique.attributions.global_sensitivity_analysis", reason="xplique is not installed")


def test_total_indices_equal_those_of_xplique():
    """xplique divides by the variance of A alone."""
    designs, shape = 16, (2, 3)
    kept = replicated_design(6, designs, seed=1)
    scores = (kept @ np.arange(6) + kept[:, 0] * kept[:, 5] ** 2).astype("float32")
    found = np.asarray(xplique_estimators().JansenEstimator()(kept.reshape(-1, *shape, 1), scores, designs))
    scale = scores[: 2 * designs].var(ddof=1) / scores[:designs].var(ddof=1)
    np.testing.assert_allclose(scale * total_indices(scores[None], designs)[0], found.ravel(), rtol=1e-4)


def test_total_indices_equal_those_of_salib():
    sensitivity = pytest.importorskip("SALib.analyze.sobol", reason="SALib is not installed")
    designs = 64
    kept = replicated_design(3, designs, seed=1)
    scores = np.sin(kept[:, 0]) + kept[:, 1] * kept[:, 2] ** 2
    first, second, mixed = scores[:designs], scores[designs : 2 * designs], scores[2 * designs :].reshape(3, designs)
    both = np.concatenate([first, second])
    expected = [sensitivity.total_order(first, one, second) for one in mixed]
    scale = both.var(ddof=1) / both.var()
    np.testing.assert_allclose(scale * total_indices(scores[None], designs)[0], np.ravel(expected), rtol=1e-6)


def test_dependence_equals_that_of_xplique_with_its_width():
    """xplique takes the median of the scores for the width, where the paper's is a median distance."""
    random = np.random.default_rng(0)
    kept, scores = random.integers(0, 2, (50, 6)).astype("float32"), random.random(50).astype("float32")
    found = np.asarray(xplique_estimators().BinaryEstimator()(kept.reshape(-1, 2, 3, 1), scores, 50)).ravel()
    np.testing.assert_allclose(50 * dependence(kept, scores, np.median(scores)), found, rtol=1e-3)
