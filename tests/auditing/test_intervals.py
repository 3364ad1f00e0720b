"""Intervals of rates against SciPy and published examples."""

import numpy as np
import pytest
from scipy.stats import binomtest

from keras_actmaps.auditing.intervals import Rate, difference, mean_interval, mean_rate


@pytest.mark.parametrize(("hits", "count"), [(0, 5), (3, 7), (56, 70), (12, 12)])
def test_the_interval_of_a_rate_is_wilsons(hits, count):
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    found = mean_rate(np.arange(count) < hits)
    np.testing.assert_allclose(found, [hits / count, expected.low, expected.high], atol=1e-12)


def test_the_interval_of_a_difference_is_newcombes():
    """The first example of Newcombe 1998, table II: 56 of 70 and 48 of 80, method 10."""
    found = difference(mean_rate(np.arange(70) < 56), mean_rate(np.arange(80) < 48))
    np.testing.assert_allclose(found, [0.2, 0.0524, 0.3339], atol=5e-5)


def test_the_interval_of_a_mean_is_normal_and_nan_is_left_out():
    found = mean_interval([1, 2, np.nan, 3, 6])
    np.testing.assert_allclose(found, 3 + np.array([0, -1, 1]) * 1.959964 * np.sqrt(14 / 3) / 2, rtol=1e-6)
    assert np.isnan(mean_interval([])).all() and np.isnan(mean_rate([np.nan])).all()
    assert mean_interval([4.0]) == Rate(4, 4, 4)
