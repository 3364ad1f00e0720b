"""ROC AUC against scikit-learn and its definition by pairs of pixels."""

import numpy as np
import pytest
from helpers.metrics import explanation_of

from keras_actmaps.metrics import roc_auc

RANDOM = np.random.default_rng(0)
MAPS = (
    RANDOM.integers(-3, 4, (6, 5, 7)) * np.array([1, 1, 1, 10, 0.1, 0])[:, None, None]
)  # with ties; the last constant
MASKS = RANDOM.random((6, 5, 7)) < np.array([0.1, 0.5, 0.9, 0.3, 0.3, 0.5])[:, None, None]


def test_it_is_the_share_of_pairs_in_the_right_order():
    expected = []
    for values, mask in zip(MAPS, MASKS):
        differences = np.subtract.outer(values[mask], values[~mask])
        expected.append(((differences > 0) + (differences == 0) / 2).mean())
    found = roc_auc(explanation_of(MAPS), MASKS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found[-1] == 0.5


def test_it_is_that_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    maps = RANDOM.normal(size=MASKS.shape).astype("float32")
    expected = [sklearn.roc_auc_score(mask.ravel(), values.ravel()) for values, mask in zip(maps, MASKS)]
    np.testing.assert_allclose(roc_auc(explanation_of(maps), MASKS), expected, rtol=1e-12)


def test_the_ends_of_the_scale_and_masks_that_separate_nothing():
    maps = np.where(MASKS, 2.0, 1.0)
    np.testing.assert_array_equal(roc_auc(explanation_of(maps), MASKS), 1)
    np.testing.assert_array_equal(roc_auc(explanation_of(-maps), MASKS), 0)
    masks = MASKS.copy()
    masks[1], masks[2] = False, True
    assert np.isnan(roc_auc(explanation_of(maps), masks)).tolist() == [False, True, True, False, False, False]
