"""Text models: padding changes nothing, and runs know their vocabulary."""

import numpy as np
import pytest
from helpers import randomised

from keras_actmaps.models import TEXT_MODELS

IDS = np.array([[3, 7, 2, 5, 9, 4]])


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_padding_changes_no_output(name):
    padded, alone = (randomised(TEXT_MODELS[name](12, length, 3)) for length in (10, 6))
    for one, two in zip(alone.get_weights(), padded.get_weights()):
        assert one.shape[1:] == two.shape[1:]
    alone.set_weights([two[: len(one)] for one, two in zip(alone.get_weights(), padded.get_weights())])
    expected = alone.predict(IDS, verbose=0)
    np.testing.assert_allclose(padded.predict(np.pad(IDS, ((0, 0), (0, 4))), verbose=0), expected, atol=1e-5)
    assert np.ptp(expected) > 0.01
