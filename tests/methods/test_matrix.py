"""Every kind of model with every method: a right map, or an error that says why not.

A sample of the pairs, another for each kind; all of them: MATRIX=all python -m pytest tests/methods/test_matrix.py
"""

import os

import pytest
from helpers.matrix import check
from helpers.zoo import KINDS

import keras_actmaps as kam

SHARE = 15  # one pair of so many is in the sample
METHODS = list(kam.METHODS)
PAIRS = [
    (kind, method)
    for row, kind in enumerate(KINDS)
    for column, method in enumerate(METHODS)
    if os.environ.get("MATRIX") == "all" or (row + column) % SHARE == 0
]


@pytest.mark.parametrize(("kind", "method"), PAIRS)
def test_a_method_on_a_kind_of_model(kind, method):
    check(kind, method)
